//! Encodes AEDAT4: one stream of events, without a table of packets at the end.

use super::{Compression, MAGIC, header};
use crate::formats::Encoder;
use crate::formats::encoder::named;
use crate::{Columns, Error, Event, Remedy, Result, Sensor};

/// Number of events of a packet.
const PACKET: usize = 16_384;

/// Creates an encoder of AEDAT4 with this compression. Memory use does not depend on the
/// recording's length.
///
/// # Errors
/// [`Error::Setting`] if `sensor` is `None`, because AEDAT4 states the sensor's size.
pub fn encoder(sensor: Option<Sensor>, compression: Compression) -> Result<Box<dyn Encoder>> {
    let Some(sensor) = sensor else {
        return Err(Error::setting("AEDAT4 states the sensor, and none is known", Remedy::STATE_SENSOR));
    };
    Ok(Box::new(ToPackets { sensor, compression, begun: false, waiting: Vec::new(), count: 0 }))
}

struct ToPackets {
    sensor: Sensor,
    compression: Compression,
    /// Whether the header has been written.
    begun: bool,
    waiting: Vec<Event>,
    count: u64,
}

impl Encoder for ToPackets {
    fn push(&mut self, events: &Columns, out: &mut Vec<u8>) -> Result<()> {
        self.begin(out);
        for e in events.iter() {
            let refuse = |why: &str, remedy: Remedy| {
                let what = format!("{} does not fit AEDAT4 of a {} sensor: {why}", named(self.count, e), self.sensor);
                Err(Error::setting(what, remedy))
            };
            if e.t_us > i64::MAX as u64 {
                return refuse("its time is above 2^63 µs", Remedy::START_AT_ZERO);
            }
            if e.x > 0x7FFF || e.y > 0x7FFF {
                return refuse("x or y is above 32767", "scale the recording down".into());
            }
            if !self.sensor.contains(e.x, e.y) {
                return refuse("it lies outside", Remedy::INSIDE_SENSOR);
            }
            self.count += 1;
            self.waiting.push(e);
            if self.waiting.len() == PACKET {
                self.packet(out)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.begin(out);
        if self.waiting.is_empty() { Ok(()) } else { self.packet(out) }
    }
}

impl ToPackets {
    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            out.extend(MAGIC);
            header::write(self.compression, self.sensor, out);
        }
    }

    fn packet(&mut self, out: &mut Vec<u8>) -> Result<()> {
        // The size; the offset of the root table (16) and the letters; at 10, the layout (6 bytes,
        // table of 8 bytes, field at 4); the table, followed by its vector.
        let mut bytes = (28 + 16 * self.waiting.len() as u32).to_le_bytes().to_vec();
        bytes.extend([&16u32.to_le_bytes()[..], b"EVTS", &[0; 2]].concat());
        bytes.extend([6u16, 8, 4].map(u16::to_le_bytes).concat());
        bytes.extend([6u32, 4, self.waiting.len() as u32].map(u32::to_le_bytes).concat());
        for e in self.waiting.drain(..) {
            bytes.extend(e.t_us.to_le_bytes());
            bytes.extend([e.x, e.y].map(u16::to_le_bytes).concat());
            bytes.extend([u8::from(e.on), 0, 0, 0]);
        }
        let bytes = pack(self.compression, bytes)?;
        out.extend([0, bytes.len() as i32].map(i32::to_le_bytes).concat());
        out.extend(bytes);
        Ok(())
    }
}

fn pack(compression: Compression, bytes: Vec<u8>) -> Result<Vec<u8>> {
    let packed: std::io::Result<Vec<u8>> = match compression {
        Compression::None => Ok(bytes),
        Compression::Lz4 => {
            use std::io::Write;

            use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
            // The same settings as DV, because readers allocate memory for the largest possible
            // block.
            let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Linked);
            let mut to = FrameEncoder::with_frame_info(info, Vec::new());
            to.write_all(&bytes).and_then(|()| to.finish().map_err(std::io::Error::other))
        }
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::stream::encode_all(&bytes[..], 3),
    };
    packed
        .map_err(|e| Error::setting(format!("a packet of events cannot be packed ({e})"), "choose another compression"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::formats;
    use crate::testing::events;

    const SENSOR: Sensor = Sensor { width: 346, height: 260 };

    fn all() -> Vec<Compression> {
        vec![
            Compression::None,
            Compression::Lz4,
            #[cfg(feature = "zstd")]
            Compression::Zstd,
        ]
    }

    fn encoded(events: &Columns, compression: Compression) -> Vec<u8> {
        let (mut encoder, mut bytes) = (encoder(Some(SENSOR), compression).unwrap(), Vec::new());
        encoder.push(events, &mut bytes).unwrap();
        encoder.finish(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn several_packets_decode_whatever_the_compression_and_however_they_are_cut() {
        let event = |i: usize| Event {
            t_us: 1 << 50 | i as u64,
            x: i as u16 % 346,
            y: (i / 346) as u16 % 260,
            on: i.is_multiple_of(3),
        };
        let events: Columns = (0..2 * PACKET + 77).map(event).collect();
        for compression in all() {
            let bytes = encoded(&events, compression);
            let stream = formats::decode(&bytes, "x").unwrap();
            assert_eq!((stream.format, stream.sensor), ("aedat4", Some(SENSOR)));
            assert!(stream.events == events, "{compression:?}");
            for size in [1, 7, 8, 1000, 100_001] {
                let (mut decoder, mut out) = (super::super::decoder("x", None), Columns::new());
                bytes.chunks(size).for_each(|chunk| decoder.push(chunk, &mut out).unwrap());
                decoder.finish(&mut out).unwrap();
                assert!(out == events, "{compression:?} in chunks of {size}");
            }
        }
    }

    #[test]
    fn every_truncation_names_a_byte_but_one_between_packets() {
        let events: Columns = (0..60u16).map(|i| Event { t_us: i.into(), x: i, y: i, on: true }).collect();
        for compression in all() {
            let bytes = encoded(&events, compression);
            let mut whole = 0;
            for cut in 0..bytes.len() {
                match formats::by_name("aedat4").unwrap().decode(&bytes[..cut], "x") {
                    Ok(stream) => {
                        assert!(stream.events.is_empty());
                        whole += 1;
                    }
                    Err(e) => assert!(e.to_string().starts_with("x: byte "), "{e}"),
                }
            }
            assert_eq!(whole, 1, "between the header and the packet");
        }
    }

    #[test]
    fn what_aedat4_cannot_hold_is_refused() {
        assert!(encoder(None, Compression::None).is_err());
        let good = Event { t_us: 0, x: 1, y: 1, on: true };
        for bad in [Event { x: 346, ..good }, Event { y: 260, ..good }, Event { t_us: u64::MAX, ..good }] {
            let events = [good, bad].into_iter().collect();
            let error = encoder(Some(SENSOR), Compression::None).unwrap().push(&events, &mut Vec::new());
            assert!(error.unwrap_err().to_string().starts_with("event 1 "));
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(events in events(SENSOR, 300, 1 << 63), which in 0usize..3) {
            let events = Columns::from(&events[..]);
            let bytes = encoded(&events, all()[which % all().len()]);
            prop_assert_eq!(formats::decode(&bytes, "x").unwrap().events, events);
        }
    }
}
