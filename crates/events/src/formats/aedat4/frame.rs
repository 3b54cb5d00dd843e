//! LZ4 frames.
//!
//! A frame is u32 0x184D2204, u8 flags (bits 6–7 version 1, 5 blocks are independent, 4 they have
//! checksums, 3 the u64 size of the content is stated, 2 the content has a checksum, 0 a dictionary
//! is named), u8 with the largest block in bits 4–6 (2^(8 + 2n) bytes), [u64 size], u8 checksum;
//! then blocks (`block.rs`): u32 size, whose bit 31 says that it is not packed, the bytes, [u32
//! checksum]; a size of 0 ends them; [u32 checksum]. Read here, block by block, because the reader
//! that comes with the codec takes new memory of the largest block for every frame, which is 60
//! times what a packet of DV has, and because two packets are unpacked at once.

use twox_hash::XxHash32;

use super::block;
use super::kernel::{self, Run};
use super::unpack::MOST;
use crate::formats::cursor::Cursor;

const MAGIC: u32 = 0x184D_2204;

/// The frames of a packet while they are unpacked.
pub struct Frames<'a> {
    /// What follows the open block.
    from: Cursor<'a>,
    out: &'a mut Vec<u8>,
    /// Bytes of `out` that are unpacked.
    n: usize,
    frame: Option<Frame>,
    block: Option<Block<'a>>,
}

/// The head of a frame.
struct Frame {
    flags: u8,
    /// Bytes of the largest block.
    largest: usize,
    /// Bytes of the content, where they are stated.
    size: Option<u64>,
    /// Where in `out` it begins.
    start: usize,
}

/// A block that is being unpacked.
struct Block<'a> {
    packed: &'a [u8],
    at: usize,
    /// The first byte of `out` that it may refer to, and where it must end.
    base: usize,
    end: usize,
}

fn cut<E>(_: E) -> String {
    "an LZ4 frame is truncated".into()
}

impl<'a> Frames<'a> {
    /// The frames of a packet, to be unpacked to the front of `out`.
    pub fn new(packed: &'a [u8], out: &'a mut Vec<u8>) -> Frames<'a> {
        Frames { from: Cursor::new(packed, 0, "", "an LZ4 frame"), out, n: 0, frame: None, block: None }
    }

    /// Unpacks all that is left; returns how many bytes there are.
    pub fn rest(mut self) -> Result<usize, String> {
        while self.open()? {
            self.run(|run| block::rest(run).map(|()| true))?;
        }
        Ok(self.n)
    }

    /// Goes on to the next block that has to be unpacked, unless one is open; false at the end.
    fn open(&mut self) -> Result<bool, String> {
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
                // Some writers put a packet into several frames.
                None if self.n == 0 || !self.from.rest().is_empty() => self.frame = Some(self.begin_frame()?),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn begin_frame(&mut self) -> Result<Frame, String> {
        let from = &mut self.from;
        if from.u32().map_err(cut)? != MAGIC {
            return Err("no LZ4 frame".into());
        }
        let head = from.rest();
        let (flags, sizes) = (from.u8().map_err(cut)?, from.u8().map_err(cut)?);
        if flags >> 6 != 1 || flags & 1 != 0 || !(4..8).contains(&(sizes >> 4 & 7)) {
            return Err(format!("an LZ4 frame of flags {flags:#04x} {sizes:#04x}"));
        }
        let size = if flags & 8 != 0 { Some(from.u64().map_err(cut)?) } else { None };
        let head = &head[..head.len() - from.rest().len()];
        if from.u8().map_err(cut)? != (XxHash32::oneshot(0, head) >> 8) as u8 {
            return Err("the checksum of an LZ4 frame's head is wrong".into());
        }
        Ok(Frame { flags, largest: 1 << (8 + 2 * (sizes >> 4 & 7)), size, start: self.n })
    }

    fn end_frame(&mut self) -> Result<(), String> {
        let Some(frame) = self.frame.take() else { return Ok(()) };
        let content = &self.out[frame.start..self.n];
        if frame.flags & 4 != 0 && self.from.u32().map_err(cut)? != XxHash32::oneshot(0, content) {
            return Err("the checksum of an LZ4 frame is wrong".into());
        }
        match frame.size {
            Some(size) if size != content.len() as u64 => {
                Err(format!("{} bytes unpacked in place of {size}", content.len()))
            }
            _ => Ok(()),
        }
    }

    /// Takes that `n` bytes are unpacked now.
    fn unpacked(&mut self, n: usize) -> Result<(), String> {
        self.n = n;
        if n > MOST { Err(format!("more than {MOST} bytes unpacked")) } else { Ok(()) }
    }

    /// Unpacks some of the open block; `how` says whether it ends there.
    fn run(&mut self, how: impl FnOnce(&mut Run<'_>) -> Result<bool, &'static str>) -> Result<(), String> {
        let Some(block) = &mut self.block else { return Ok(()) };
        let mut run = run(block, self.out, self.n);
        let ended = how(&mut run).map_err(|problem| format!("a broken LZ4 block ({problem})"))?;
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

/// Unpacks the frames of two packets by turns.
pub fn two(mut a: Frames<'_>, mut b: Frames<'_>) -> [Result<usize, String>; 2] {
    loop {
        match (a.open(), b.open()) {
            (Ok(true), Ok(true)) => {}
            (Err(e), _) => return [Err(e), b.rest()],
            (_, Err(e)) => return [a.rest(), Err(e)],
            _ => return [a.rest(), b.rest()],
        }
        if let (Some(block_a), Some(block_b)) = (&mut a.block, &mut b.block) {
            let (mut run_a, mut run_b) = (run(block_a, a.out, a.n), run(block_b, b.out, b.n));
            kernel::two(&mut run_a, &mut run_b);
            let ((at_a, n_a), (at_b, n_b)) = ((run_a.at, run_a.n), (run_b.at, run_b.n));
            (block_a.at, a.n) = (at_a, n_a);
            (block_b.at, b.n) = (at_b, n_b);
        }
        // The kernel has left a sequence of one of them.
        match (a.run(block::sequence), b.run(block::sequence)) {
            (Ok(()), Ok(())) => {}
            (Err(e), Ok(())) => return [Err(e), b.rest()],
            (Ok(()), Err(e)) => return [a.rest(), Err(e)],
            (Err(e), Err(f)) => return [Err(e), Err(f)],
        }
    }
}
