//! Unpacks packets: LZ4 frames and ZSTD frames, into memory that is used again.
//!
//! An LZ4 frame is u32 0x184D2204, u8 flags (bits 6–7 version 1, 5 blocks are independent, 4 they
//! have checksums, 3 the u64 size of the content is stated, 2 the content has a checksum, 0 a
//! dictionary is named), u8 with the largest block in bits 4–6 (2^(8 + 2n) bytes), [u64 size], u8
//! checksum; then blocks: u32 size, whose bit 31 says that it is not packed, the bytes, [u32
//! checksum]; a size of 0 ends them; [u32 checksum]. Read here, block by block, because the
//! reader that comes with the codec takes new memory of the largest block for every frame, which
//! is 60 times what a packet of DV has.

use twox_hash::XxHash32;

use super::Compression;
use crate::formats::cursor::Cursor;

/// The most bytes of an unpacked packet: 16 million events. A guard against bombs.
pub const MOST: usize = 256 << 20;
const LZ4: u32 = 0x184D_2204;
/// How far back a block of LZ4 can refer.
const WINDOW: usize = 64 << 10;

/// Unpacks packet after packet.
#[derive(Default)]
pub struct Unpacker {
    out: Vec<u8>,
    #[cfg(feature = "zstd")]
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl Unpacker {
    /// The bytes of a packet. The text says what is wrong with it.
    pub fn unpack<'a>(&'a mut self, compression: Compression, packed: &'a [u8]) -> Result<&'a [u8], String> {
        match compression {
            Compression::None => Ok(packed),
            Compression::Lz4 => {
                let (mut from, mut n) = (Cursor::new(packed, 0, "", "an LZ4 frame"), 0);
                // Some writers put a packet into several frames.
                while n == 0 || !from.rest().is_empty() {
                    n = self.lz4(&mut from, n)?;
                }
                Ok(&self.out[..n])
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => self.zstd(packed),
        }
    }

    /// Appends a frame to the first `start` bytes; returns how many there are now.
    fn lz4(&mut self, from: &mut Cursor, start: usize) -> Result<usize, String> {
        let cut = |_| "an LZ4 frame is truncated".to_string();
        if from.u32().map_err(cut)? != LZ4 {
            return Err("no LZ4 frame".into());
        }
        let head = from.rest();
        let (flags, sizes) = (from.u8().map_err(cut)?, from.u8().map_err(cut)?);
        if flags >> 6 != 1 || flags & 1 != 0 || !(4..8).contains(&(sizes >> 4 & 7)) {
            return Err(format!("an LZ4 frame of flags {flags:#04x} {sizes:#04x}"));
        }
        let largest = 1 << (8 + 2 * (sizes >> 4 & 7));
        let size = if flags & 8 != 0 { Some(from.u64().map_err(cut)?) } else { None };
        let head = &head[..head.len() - from.rest().len()];
        if from.u8().map_err(cut)? != (XxHash32::oneshot(0, head) >> 8) as u8 {
            return Err("the checksum of an LZ4 frame's head is wrong".into());
        }
        let mut n = start;
        loop {
            let word = from.u32().map_err(cut)?;
            if word == 0 {
                break;
            }
            let block = from.take((word & 0x7FFF_FFFF) as usize).map_err(cut)?;
            if flags & 16 != 0 && from.u32().map_err(cut)? != XxHash32::oneshot(0, block) {
                return Err("the checksum of an LZ4 block is wrong".into());
            }
            n += self.block(block, word >> 31 == 1, flags & 32 == 0, start, n, largest)?;
            if n > MOST {
                return Err(format!("more than {MOST} bytes unpacked"));
            }
        }
        if flags & 4 != 0 && from.u32().map_err(cut)? != XxHash32::oneshot(0, &self.out[start..n]) {
            return Err("the checksum of an LZ4 frame is wrong".into());
        }
        match size {
            Some(size) if size != (n - start) as u64 => Err(format!("{} bytes unpacked in place of {size}", n - start)),
            _ => Ok(n),
        }
    }

    /// Unpacks a block to behind byte `n`; `linked` blocks may refer to bytes from `start` on.
    fn block(
        &mut self,
        block: &[u8],
        plain: bool,
        linked: bool,
        start: usize,
        n: usize,
        largest: usize,
    ) -> Result<usize, String> {
        if self.out.len() < n + largest {
            self.out.resize(n + largest, 0);
        }
        let (before, behind) = self.out.split_at_mut(n);
        let behind = &mut behind[..largest];
        let unpacked = if plain {
            let to = behind.get_mut(..block.len()).ok_or("a block of more bytes than its LZ4 frame allows")?;
            to.copy_from_slice(block);
            return Ok(block.len());
        } else if linked {
            lz4_flex::block::decompress_into_with_dict(block, behind, &before[start.max(n.saturating_sub(WINDOW))..])
        } else {
            lz4_flex::block::decompress_into(block, behind)
        };
        unpacked.map_err(|e| format!("a broken LZ4 block ({e})"))
    }

    #[cfg(feature = "zstd")]
    fn zstd(&mut self, packed: &[u8]) -> Result<&[u8], String> {
        use std::io::Read;
        let broken = |e: std::io::Error| format!("a broken ZSTD frame ({e})");
        self.out.clear();
        let size = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten();
        // A stated size is believed where the packet is not much smaller.
        let likely = (packed.len() as u64 * 64 + (64 << 10)).min(MOST as u64);
        if let Some(size) = size.filter(|&size| size <= likely) {
            self.out.reserve(size as usize);
            if self.zstd.is_none() {
                self.zstd = Some(zstd::bulk::Decompressor::new().map_err(broken)?);
            }
            if let Some(zstd) = &mut self.zstd {
                zstd.decompress_to_buffer(packed, &mut self.out).map_err(broken)?;
            }
        } else {
            let decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(broken)?;
            decoder.take(MOST as u64 + 1).read_to_end(&mut self.out).map_err(broken)?;
        }
        if self.out.len() > MOST {
            return Err(format!("more than {MOST} bytes unpacked"));
        }
        Ok(&self.out)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use proptest::prelude::*;

    use super::*;

    fn frame(bytes: &[u8], info: FrameInfo) -> Vec<u8> {
        let mut to = FrameEncoder::with_frame_info(info, Vec::new());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    fn infos(size: u64) -> Vec<FrameInfo> {
        let mut infos = Vec::new();
        for mode in [BlockMode::Independent, BlockMode::Linked] {
            for block in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB] {
                let info = FrameInfo::new().block_mode(mode).block_size(block);
                infos.push(info.clone());
                infos.push(info.block_checksums(true).content_checksum(true).content_size(Some(size)));
            }
        }
        infos
    }

    /// Bytes that pack, with repeats at many distances.
    fn bytes(n: usize) -> Vec<u8> {
        (0..n).map(|i| ((i / 3 * 7 % 251) ^ (i >> 13)) as u8).collect()
    }

    #[test]
    fn every_kind_of_lz4_frame_unpacks() {
        let bytes = bytes(300_000);
        let mut unpacker = Unpacker::default();
        for info in infos(bytes.len() as u64) {
            let frame = frame(&bytes, info.clone());
            assert!(unpacker.unpack(Compression::Lz4, &frame).unwrap() == bytes, "{info:?}");
            let two = unpacker.unpack(Compression::Lz4, &[frame.clone(), frame].concat()).unwrap() == bytes.repeat(2);
            assert!(two, "{info:?}");
        }
    }

    #[test]
    fn every_truncation_is_refused_and_checksums_see_every_change() {
        let bytes = bytes(3_000);
        let mut unpacker = Unpacker::default();
        for info in infos(bytes.len() as u64) {
            let frame = frame(&bytes, info.clone());
            for cut in 0..frame.len() {
                assert!(unpacker.unpack(Compression::Lz4, &frame[..cut]).is_err(), "{info:?} cut at {cut}");
            }
            for at in 0..frame.len() {
                let mut changed = frame.clone();
                changed[at] ^= 0x04;
                let unpacked = unpacker.unpack(Compression::Lz4, &changed);
                let checked = info.content_checksum && info.block_checksums;
                assert!(unpacked.is_err() || !checked, "{info:?} at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_unpack_or_are_refused(blocks in prop::collection::vec(any::<u8>(), 0..200), n in 0u32..60) {
            let head = [4, 0x22, 0x4D, 0x18, 0x40, 0x40, 0xC0];
            let _ = Unpacker::default().unpack(Compression::Lz4, &[&head[..], &n.to_le_bytes(), &blocks].concat());
            #[cfg(feature = "zstd")]
            let _ = Unpacker::default().unpack(Compression::Zstd, &[&[0x28, 0xB5, 0x2F, 0xFD], &blocks[..]].concat());
        }
    }
}
