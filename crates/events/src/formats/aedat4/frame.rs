//! Decodes LZ4 frames.
//!
//! A frame header is: u32 0x184D2204, u8 flags (bits 6–7: version 1; bit 5: blocks are independent;
//! bit 4: blocks have checksums; bit 3: the size of the content is stated; bit 2: the content has a
//! checksum; bit 0: a dictionary is named), u8 with the size of the largest block in bits 4–6
//! (2^(8 + 2n) bytes), [u64 size], u8 checksum. Then follow blocks (`block.rs`): u32 size, whose
//! bit 31 marks a block that is not compressed, the bytes, [u32 checksum]. A size of 0 ends the
//! blocks; [u32 checksum] follows.
//!
//! This crate reads frames itself for two reasons. The codec's own reader allocates the largest
//! possible block for every frame, which is 60 times the size of a packet of DV. And it cannot
//! decompress two packets at once.

use twox_hash::XxHash32;

use super::block;
use super::kernel::{self, Run};
use crate::formats::cursor::Cursor;
use crate::problem::{PacketProblem, Problem};

/// The largest decompressed packet in bytes: 16 million events. The limit protects against
/// decompression bombs.
pub const MOST: usize = 256 << 20;

const MAGIC: u32 = 0x184D_2204;

/// The frames of a packet during decompression.
pub struct Frames<'a> {
    /// The bytes after the current block.
    from: Cursor<'a>,
    out: &'a mut Vec<u8>,
    /// Number of bytes of `out` that have been decompressed.
    n: usize,
    frame: Option<Frame>,
    block: Option<Block<'a>>,
}

/// The header of a frame.
struct Frame {
    flags: u8,
    /// Size of the largest block in bytes.
    largest: usize,
    /// Size of the content in bytes, if stated.
    size: Option<u64>,
    /// Offset in `out` of the frame's content.
    start: usize,
}

/// A block that is being decompressed.
struct Block<'a> {
    packed: &'a [u8],
    at: usize,
    /// The first byte of `out` to which it may refer, and the byte before which it must end.
    base: usize,
    end: usize,
}

fn cut<E>(_: E) -> Problem {
    "an LZ4 frame is truncated".into()
}

impl<'a> Frames<'a> {
    /// Creates a decoder that decompresses the frames of a packet to the front of `out`.
    pub fn new(packed: &'a [u8], out: &'a mut Vec<u8>) -> Frames<'a> {
        Frames { from: Cursor::new(packed, 0, "", "an LZ4 frame"), out, n: 0, frame: None, block: None }
    }

    /// Decompresses the rest of the packet; returns the number of bytes.
    pub fn rest(mut self) -> Result<usize, Problem> {
        while self.open()? {
            self.run(|run| block::rest(run).map(|()| true))?;
        }
        Ok(self.n)
    }

    /// Advances to the next block that must be decompressed, unless the current one is unfinished.
    /// Returns false at the end of the packet.
    fn open(&mut self) -> Result<bool, Problem> {
        while self.block.is_none() {
            match &self.frame {
                Some(frame) => {
                    let word = self.from.u32().map_err(cut)?;
                    if word == 0 {
                        self.end_frame()?;
                        continue;
                    }
                    let packed = self.from.take((word & 0x7FFF_FFFF) as usize).map_err(cut)?;
                    if frame.flags & 16 != 0 && self.from.u32().map_err(cut)? != XxHash32::oneshot(0, packed) {
                        return Err("the checksum of an LZ4 block is wrong".into());
                    }
                    let base = if frame.flags & 32 == 0 { frame.start } else { self.n };
                    let end = self.n + frame.largest;
                    if self.out.len() < end {
                        self.out.resize(end, 0);
                    }
                    if word >> 31 == 1 {
                        let to = self.out[self.n..end].get_mut(..packed.len());
                        to.ok_or("a block of more bytes than its LZ4 frame allows")?.copy_from_slice(packed);
                        self.unpacked(self.n + packed.len())?;
                    } else {
                        self.block = Some(Block { packed, at: 0, base, end });
                    }
                }
                // Some writers divide a packet into several frames.
                None if self.n == 0 || !self.from.rest().is_empty() => self.frame = Some(self.begin_frame()?),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn begin_frame(&mut self) -> Result<Frame, Problem> {
        let from = &mut self.from;
        if from.u32().map_err(cut)? != MAGIC {
            return Err("no LZ4 frame".into());
        }
        let head = from.rest();
        let (flags, sizes) = (from.u8().map_err(cut)?, from.u8().map_err(cut)?);
        if flags >> 6 != 1 || flags & 1 != 0 || !(4..8).contains(&(sizes >> 4 & 7)) {
            return Err(format!("an LZ4 frame of flags {flags:#04x} {sizes:#04x}").into());
        }
        let size = if flags & 8 != 0 { Some(from.u64().map_err(cut)?) } else { None };
        let head = &head[..head.len() - from.rest().len()];
        if from.u8().map_err(cut)? != (XxHash32::oneshot(0, head) >> 8) as u8 {
            return Err(Problem::Checksum { of: Some("an LZ4 frame's head") });
        }
        Ok(Frame { flags, largest: 1 << (8 + 2 * (sizes >> 4 & 7)), size, start: self.n })
    }

    fn end_frame(&mut self) -> Result<(), Problem> {
        let Some(frame) = self.frame.take() else { return Ok(()) };
        let content = &self.out[frame.start..self.n];
        if frame.flags & 4 != 0 && self.from.u32().map_err(cut)? != XxHash32::oneshot(0, content) {
            return Err(Problem::Checksum { of: Some("an LZ4 frame") });
        }
        match frame.size {
            Some(size) if size != content.len() as u64 => {
                let (found, expected) = (content.len().to_string(), size.to_string());
                Err(Problem::Expected { what: "{} bytes unpacked", found, expected })
            }
            _ => Ok(()),
        }
    }

    /// Records that `n` bytes have been decompressed; an error if that is too many.
    fn unpacked(&mut self, n: usize) -> Result<(), Problem> {
        self.n = n;
        if n > MOST { Err(PacketProblem::Bomb { limit: MOST }.into()) } else { Ok(()) }
    }

    /// Decompresses a part of the current block. `how` returns whether the block has ended.
    fn run(&mut self, how: impl FnOnce(&mut Run<'_>) -> Result<bool, &'static str>) -> Result<(), Problem> {
        let Some(block) = &mut self.block else { return Ok(()) };
        let mut run = run(block, self.out, self.n);
        let ended =
            how(&mut run).map_err(|reason| Problem::Broken { what: "a broken LZ4 block", reason: reason.into() })?;
        let (at, n) = (run.at, run.n);
        block.at = at;
        if ended {
            self.block = None;
        }
        self.unpacked(n)
    }
}

fn run<'a>(block: &Block<'a>, out: &'a mut [u8], n: usize) -> Run<'a> {
    Run { packed: block.packed, at: block.at, out: &mut out[..block.end], n, base: block.base }
}

/// Decompresses the frames of two packets alternately.
pub fn two(mut a: Frames<'_>, mut b: Frames<'_>) -> [Result<usize, Problem>; 2] {
    loop {
        match (a.open(), b.open()) {
            (Ok(true), Ok(true)) => {}
            (Err(e), _) => return [Err(e), b.rest()],
            (_, Err(e)) => return [a.rest(), Err(e)],
            _ => return [a.rest(), b.rest()],
        }
        if let (Some(block_a), Some(block_b)) = (&mut a.block, &mut b.block) {
            let (mut run_a, mut run_b) = (run(block_a, a.out, a.n), run(block_b, b.out, b.n));
            kernel::unpack_two(&mut run_a, &mut run_b);
            let ((at_a, n_a), (at_b, n_b)) = ((run_a.at, run_a.n), (run_b.at, run_b.n));
            (block_a.at, a.n) = (at_a, n_a);
            (block_b.at, b.n) = (at_b, n_b);
        }
        // The kernel has stopped before a sequence of one block that needs the scalar version.
        match (a.run(block::sequence), b.run(block::sequence)) {
            (Ok(()), Ok(())) => {}
            (Err(e), Ok(())) => return [Err(e), b.rest()],
            (Ok(()), Err(e)) => return [a.rest(), Err(e)],
            (Err(e), Err(f)) => return [Err(e), Err(f)],
        }
    }
}
