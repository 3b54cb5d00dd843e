//! The short sequences of LZ4, of one block or of two at once; the long and rare are left to
//! [`super::block`], whose scalar sequence is also what these are tested against.
//!
//! A sequence writes at p its literals, then bytes from `offset` before each: out[p + j] =
//! literal j for j < literals, else out[p + j - offset]. As long as all of it is at most 16 bytes
//! and the offset at least 16, both halves are 8 bytes loaded `offset` before, the first of them
//! with the literals put in: two stores and no loop. Loads and stores of 8 bytes lie as the fields
//! of events do (time; pixel and polarity), so that a load finds what it needs in one earlier
//! store.
//!
//! How far a sequence reaches is known only once its token is read, and the next token lies behind
//! it: one block waits for memory most of the time. Two blocks at once wait together.
//!
//! Unsafe, because bounds are checked once for many sequences: each takes at most [`IN`] bytes and
//! gives at most [`OUT`].
#![allow(unsafe_code)]

/// Most bytes that a short sequence takes: token, 8 literals, offset.
const IN: usize = 11;
/// Most bytes that it gives, and bytes that it writes.
const OUT: usize = 16;

/// Bytes that the sequence of a token gives, 0 if it is left to the scalar form.
static LENGTH: [u8; 256] = lengths();
/// The literals among 8 bytes.
static LITERALS: [u64; 16] = literals();

/// Where the unpacking of a block stands.
#[derive(Debug)]
pub struct Run<'a> {
    /// The packed bytes of the block.
    pub packed: &'a [u8],
    /// The next of them.
    pub at: usize,
    /// What is unpacked, up to where the block must end.
    pub out: &'a mut [u8],
    /// The next byte to be written.
    pub n: usize,
    /// The first byte that sequences may refer to.
    pub base: usize,
}

impl Run<'_> {
    /// How many short sequences are sure to lie within both slices.
    fn sure(&self) -> usize {
        if self.n < self.base + OUT || self.at > self.packed.len() || self.n > self.out.len() {
            return 0;
        }
        ((self.packed.len() - self.at) / IN).min((self.out.len() - self.n) / OUT)
    }
}

/// Unpacks short sequences; returns before one that it leaves to the scalar form.
pub fn one(a: &mut Run<'_>) {
    loop {
        let sure = a.sure();
        let mut to = Pointers::of(a);
        for _ in 0..sure {
            // SAFETY: `sure` counted the bytes of this one and of all before it.
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

/// As [`one`] for two blocks by turns; returns before a sequence of either that it leaves.
pub fn two(a: &mut Run<'_>, b: &mut Run<'_>) {
    loop {
        let sure = a.sure().min(b.sure());
        let (mut to_a, mut to_b) = (Pointers::of(a), Pointers::of(b));
        let mut whole = true;
        for _ in 0..sure {
            // SAFETY: as in `one`.
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

/// Where a [`Run`] stands, with pointers into its slices.
struct Pointers {
    from: *const u8,
    /// The first byte that may be referred to.
    base: *mut u8,
    /// How many bytes behind it the next is written.
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

    /// Tells the run how far it has come.
    fn back(self, run: &mut Run<'_>) {
        run.at = self.from as usize - run.packed.as_ptr() as usize;
        run.n = run.base.wrapping_add(self.n);
    }

    /// Unpacks a sequence, or returns false and leaves it.
    ///
    /// # Safety
    /// `IN` bytes can be read at `from`; `n` + `OUT` bytes can be read and written at `base`.
    #[inline(always)]
    unsafe fn sequence(&mut self) -> bool {
        // SAFETY: the first byte of `IN`.
        let token = usize::from(unsafe { self.from.read() });
        let (length, literals) = (usize::from(LENGTH[token]), token >> 4);
        if length == 0 {
            return false;
        }
        // SAFETY: a token with a length has at most 8 literals, so that this ends at byte 11.
        let offset = unsafe { self.from.add(1 + literals).cast::<[u8; 2]>().read() };
        let offset = usize::from(u16::from_le_bytes(offset));
        // Not beyond the first byte, nor below 16.
        let (before, beyond) = self.n.overflowing_sub(offset);
        if beyond || offset < OUT {
            return false;
        }
        // SAFETY: the literals are bytes 1 to 8 of `IN`. What lies at `before` can be read; its 16
        // bytes end at `n` or before. 16 bytes can be written there.
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
/// 8 bytes can be read.
#[inline(always)]
unsafe fn load(from: *const u8) -> u64 {
    // SAFETY: as above; an array of bytes has no alignment.
    u64::from_le_bytes(unsafe { from.cast::<[u8; 8]>().read() })
}

/// # Safety
/// 8 bytes can be written.
#[inline(always)]
unsafe fn store(to: *mut u8, bytes: u64) {
    // SAFETY: as above; an array of bytes has no alignment.
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
