//! Decompresses packets of LZ4 frames (`frame.rs`) and ZSTD frames into buffers that are reused.

use super::Compression;
#[cfg(feature = "zstd")]
use super::frame::MOST;
use super::frame::{self, Frames};
#[cfg(feature = "zstd")]
use crate::problem::PacketProblem;
use crate::problem::Problem;

/// The bytes of a packet, or a description of what is wrong with it.
pub type Unpacked<'a> = Result<&'a [u8], Problem>;

/// Decompresses one packet after another.
#[derive(Default)]
pub struct Unpacker {
    out: [Vec<u8>; 2],
    #[cfg(feature = "zstd")]
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl Unpacker {
    /// Decompresses a packet.
    pub fn unpack<'a>(&'a mut self, compression: Compression, packed: &'a [u8]) -> Unpacked<'a> {
        match compression {
            Compression::None => Ok(packed),
            Compression::Lz4 => {
                let n = Frames::new(packed, &mut self.out[0]).rest()?;
                Ok(&self.out[0][..n])
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => self.zstd(packed),
        }
    }

    /// Decompresses two packets of LZ4 at once, which is faster than one after the other.
    pub fn unpack_two(&mut self, packed: [&[u8]; 2]) -> [Unpacked<'_>; 2] {
        let [a, b] = &mut self.out;
        let [m, n] = frame::two(Frames::new(packed[0], a), Frames::new(packed[1], b));
        [m.map(|m| &self.out[0][..m]), n.map(|n| &self.out[1][..n])]
    }

    #[cfg(feature = "zstd")]
    fn zstd(&mut self, packed: &[u8]) -> Unpacked<'_> {
        use std::io::Read;
        let out = &mut self.out[0];
        let broken = |e: std::io::Error| Problem::Broken { what: "a broken ZSTD frame", reason: e.to_string() };
        out.clear();
        let size = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten();
        // A stated size is trusted only if it is plausible for the size of the packet.
        let likely = (packed.len() as u64 * 64 + (64 << 10)).min(MOST as u64);
        if let Some(size) = size.filter(|&size| size <= likely) {
            out.reserve(size as usize);
            if self.zstd.is_none() {
                self.zstd = Some(zstd::bulk::Decompressor::new().map_err(broken)?);
            }
            if let Some(zstd) = &mut self.zstd {
                zstd.decompress_to_buffer(packed, out).map_err(broken)?;
            }
        } else {
            let decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(broken)?;
            decoder.take(MOST as u64 + 1).read_to_end(out).map_err(broken)?;
        }
        if out.len() > MOST {
            return Err(PacketProblem::Bomb { limit: MOST }.into());
        }
        Ok(out)
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

    /// Compressible bytes, with repeats at many distances.
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
    fn two_packets_at_once_unpack_as_one_after_the_other() {
        let all: Vec<_> = [1, 700, 70_000, 300_000].map(bytes).into();
        let mut unpacker = Unpacker::default();
        for (a, b) in all.iter().flat_map(|a| all.iter().map(move |b| (a, b))) {
            for (info_a, info_b) in infos(a.len() as u64).into_iter().zip(infos(b.len() as u64).into_iter().rev()) {
                let frames = [frame(a, info_a), frame(b, info_b)];
                assert!(unpacker.unpack_two([&frames[0], &frames[1]]) == [Ok(&a[..]), Ok(&b[..])]);
                // An error in one packet must not affect the other.
                for wrong in [&frames[0][..frames[0].len() - 1], b"", &[frames[0].clone(), vec![1, 2, 3, 4]].concat()] {
                    let error = Unpacker::default().unpack(Compression::Lz4, wrong).map(<[u8]>::to_vec);
                    assert!(error.is_err());
                    let pair = unpacker.unpack_two([wrong, &frames[1]]).map(|one| one.map(<[u8]>::to_vec));
                    assert!(pair == [error.clone(), Ok(b.clone())]);
                    let pair = unpacker.unpack_two([&frames[1], wrong]).map(|one| one.map(<[u8]>::to_vec));
                    assert!(pair == [Ok(b.clone()), error]);
                }
            }
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
