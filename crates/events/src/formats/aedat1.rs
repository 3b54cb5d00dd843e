//! AER-DAT 1.0 (`.aedat`, `.dat`): the format that jAER wrote before AEDAT 2.0.
//!
//! The format is that of [`super::aedat2`], except that an event has 6 bytes: a big endian u16
//! address of a DVS128, and a big endian u32 time in µs. Source: jAER's description of AER-DAT 1.0.

use super::aedat2::{self, Aedat2};
use super::records::RecordDecoder;
use super::{Format, Reading, SupportedOption};

/// The format description; see the module.
pub const FORMAT: Format = Format {
    name: "aedat1",
    about: "AER-DAT 1.0 of old jAER (DVS128)",
    extensions: &["aedat", "dat"],
    axes: aedat2::AXES,
    fits: |probe| probe.begins_with(Aedat2::<RECORD>::MAGIC),
    supports: &[SupportedOption::LiteralTimes],
    read: Reading::Stream(|file, options| Box::new(RecordDecoder::new(Aedat2::<RECORD>::new(options), file))),
    write: None,
};

const RECORD: usize = 6;

#[cfg(test)]
mod tests {
    use tickless_testing::assert_problem;

    use crate::problem::{AddressProblem, Truncation};

    use crate::formats::{Axes, ReadOptions, by_name, decode};
    use crate::{Event, Sensor};

    fn file(header: &str, records: &[(u16, u32)]) -> Vec<u8> {
        let mut bytes = format!("#!AER-DAT1.0\r\n{header}").into_bytes();
        records.iter().for_each(|(address, t)| {
            bytes.extend(address.to_be_bytes());
            bytes.extend(t.to_be_bytes());
        });
        bytes
    }

    #[test]
    fn six_bytes_are_an_event_of_a_dvs128() {
        let header = "# This is a raw AE data file - do not edit\r\n# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n";
        let records = [(0x0503, 7), (0x8503, 8), (0x7FFE, u32::MAX), (0x0002, 4)];
        let stream = decode(&file(header, &records), "old.dat").unwrap();
        let on = Event { t_us: 7, x: 1, y: 5, on: true };
        let off = Event { t_us: u32::MAX.into(), x: 127, y: 127, on: false };
        // A record with bit 15 set is skipped. The clock rises by more than half its range, and
        // then overflows.
        let late = Event { t_us: (1 << 32) + 4, x: 1, y: 0, on: false };
        assert_eq!(stream.events.to_vec(), [on, off, late]);
        assert_eq!((stream.format, stream.sensor), ("aedat1", Some(Sensor { width: 128, height: 128 })));
        assert!(matches!(by_name("aedat1").unwrap().axes, Axes::AsStored(_)));
        let literal = ReadOptions { literal_times: true, ..ReadOptions::default() };
        let format = by_name("aedat1").unwrap();
        let stream = format.decode_with(&file("", &records), "old.aedat", &literal).unwrap();
        assert_eq!((stream.events.get(2), stream.sensor), (Some(Event { t_us: 4, ..late }), None));
    }

    #[test]
    fn what_is_cut_or_of_another_camera_is_refused() {
        let whole = file("", &[(1, 1), (3, 2)]);
        let error = decode(&whole[..whole.len() - 2], "a.aedat").unwrap_err();
        let cut = Truncation::Size { part: "the last event".into(), found: 4, expected: 6 };
        assert_problem!(error, at "a.aedat: byte 20: ", cut);
        let error = decode(&file("# AEChip: eu.seebetter.ini.chips.davis.Davis240C\r\n", &[]), "a.aedat");
        assert_problem!(error.unwrap_err(), AddressProblem::Davis);
    }
}
