//! Decodes the short sequences of LZ4, of one block or of two at once. It leaves long and rare ones
//! to [`super::block`], whose scalar version is also the reference in tests.
//!
//! A sequence at position p first writes its literals, then copies bytes from `offset` before:
//! out[p + j] = literal j for j < literals, otherwise out[p + j - offset]. If all of it has at most
//! 16 bytes and the offset is at least 16, two 8-byte loads from `offset` before, with the literals
//! inserted into the first, and two stores decode it without a loop. The 8-byte loads and stores
//! match the fields of events (time; pixel and polarity), so a load usually finds its data in a
//! single earlier store, which the processor can forward.
//!
//! The length of a sequence is known only after its token has been loaded, and the next token
//! follows it. With one block, the processor mostly waits for these loads; with two blocks, the
//! waits overlap.
//!
//! The code is unsafe because one bounds check covers many sequences: each reads at most [`IN`]
//! bytes and writes at most [`OUT`].
#![allow(unsafe_code)]

/// The largest number of input bytes of a short sequence: token, 8 literals, offset.
const IN: usize = 11;
/// The largest number of output bytes of a short sequence, and the number that it writes.
const OUT: usize = 16;

/// Number of output bytes by token; 0 if the token's sequence needs the scalar version.
static LENGTH: [u8; 256] = lengths();
/// A mask of the literals among 8 bytes, by the number of literals.
static LITERALS: [u64; 16] = literals();

/// The state of decoding a block.
#[derive(Debug)]
pub struct Run<'a> {
    /// The compressed bytes of the block.
    pub packed: &'a [u8],
    /// Offset of the next byte in `packed`.
    pub at: usize,
    /// The output, up to the byte before which the block must end.
    pub out: &'a mut [u8],
    /// Offset of the next byte to be written.
    pub n: usize,
    /// The first byte to which sequences may refer.
    pub base: usize,
}

impl Run<'_> {
    /// The number of short sequences that certainly fit within both slices.
    fn sure(&self) -> usize {
        if self.n < self.base + OUT || self.at > self.packed.len() || self.n > self.out.len() {
            return 0;
        }
        ((self.packed.len() - self.at) / IN).min((self.out.len() - self.n) / OUT)
    }
}

/// Decodes short sequences; stops before the first one that needs the scalar version.
pub fn unpack_one(a: &mut Run<'_>) {
    loop {
        let sure = a.sure();
        let mut to = Pointers::of(a);
        for _ in 0..sure {
            // SAFETY: `sure` covers the bytes of this sequence and of all sequences before it.
            if !unsafe { to.sequence() } {
                return to.back(a);
            }
        }
        to.back(a);
        if sure == 0 {
            return;
        }
    }
}

/// As [`unpack_one`], for two blocks alternately; stops before a sequence of either that needs the scalar
/// version.
pub fn unpack_two(a: &mut Run<'_>, b: &mut Run<'_>) {
    loop {
        let sure = a.sure().min(b.sure());
        let (mut to_a, mut to_b) = (Pointers::of(a), Pointers::of(b));
        let mut whole = true;
        for _ in 0..sure {
            // SAFETY: as in `unpack_one`, for each of the two blocks.
            whole = unsafe { to_a.sequence() && to_b.sequence() };
            if !whole {
                break;
            }
        }
        to_a.back(a);
        to_b.back(b);
        if sure == 0 || !whole {
            return;
        }
    }
}

/// The state of a [`Run`], with pointers into its slices.
struct Pointers {
    from: *const u8,
    /// The first byte to which sequences may refer.
    base: *mut u8,
    /// Offset of the next byte to be written, from `base`.
    n: usize,
}

impl Pointers {
    fn of(run: &mut Run<'_>) -> Pointers {
        Pointers {
            from: run.packed.as_ptr().wrapping_add(run.at),
            base: run.out.as_mut_ptr().wrapping_add(run.base),
            n: run.n.wrapping_sub(run.base),
        }
    }

    /// Stores the state in the run.
    fn back(self, run: &mut Run<'_>) {
        run.at = self.from as usize - run.packed.as_ptr() as usize;
        run.n = run.base.wrapping_add(self.n);
    }

    /// Decodes a sequence, or returns false and does nothing if it needs the scalar version.
    ///
    /// # Safety
    /// `IN` bytes must be readable at `from`; `n` + `OUT` bytes must be readable and writable at
    /// `base`.
    #[inline(always)]
    unsafe fn sequence(&mut self) -> bool {
        // SAFETY: this is the first of `IN` readable bytes.
        let token = usize::from(unsafe { self.from.read() });
        let (length, literals) = (usize::from(LENGTH[token]), token >> 4);
        if length == 0 {
            return false;
        }
        // SAFETY: a token with a length has at most 8 literals, so this read ends at byte 11.
        let offset = unsafe { self.from.add(1 + literals).cast::<[u8; 2]>().read() };
        let offset = usize::from(u16::from_le_bytes(offset));
        // The match must not begin before the first byte, and the offset must be at least 16.
        let (before, beyond) = self.n.overflowing_sub(offset);
        if beyond || offset < OUT {
            return false;
        }
        // SAFETY: the literals are bytes 1 to 8 of `IN`. The 16 bytes at `before` end at `n` or
        // before, so they are readable. 16 bytes are writable at `n`.
        unsafe {
            let (before, to) = (self.base.add(before), self.base.add(self.n));
            let low = load(before);
            let low = low ^ ((low ^ load(self.from.add(1))) & LITERALS[literals]);
            let high = load(before.add(8));
            store(to, low);
            store(to.add(8), high);
        }
        self.from = self.from.wrapping_add(3 + literals);
        self.n += length;
        true
    }
}

/// # Safety
/// 8 bytes must be readable at `from`.
#[inline(always)]
unsafe fn load(from: *const u8) -> u64 {
    // SAFETY: the caller guarantees the 8 bytes; a byte array has no alignment.
    u64::from_le_bytes(unsafe { from.cast::<[u8; 8]>().read() })
}

/// # Safety
/// 8 bytes must be writable at `to`.
#[inline(always)]
unsafe fn store(to: *mut u8, bytes: u64) {
    // SAFETY: the caller guarantees the 8 bytes; a byte array has no alignment.
    unsafe { to.cast::<[u8; 8]>().write(bytes.to_le_bytes()) }
}

const fn lengths() -> [u8; 256] {
    let mut table = [0; 256];
    let mut token = 0;
    while token < 256 {
        let (literals, bytes) = (token >> 4, (token >> 4) + (token & 15) + 4);
        if literals <= 8 && bytes <= OUT {
            table[token] = bytes as u8;
        }
        token += 1;
    }
    table
}

const fn literals() -> [u64; 16] {
    let mut table = [!0; 16];
    let mut n = 0;
    while n < 8 {
        table[n] = (1 << (8 * n)) - 1;
        n += 1;
    }
    table
}
