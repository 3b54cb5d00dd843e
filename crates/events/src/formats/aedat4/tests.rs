//! Tests of decoding AEDAT4, with files that are built here: streams, packets, and errors.

use tickless_testing::assert_problem;

use super::{MAGIC, decoder, header};
use crate::problem::{PacketProblem, Problem, Truncation};
use crate::{Columns, Error, Result};

/// A file without compression: its streams (number, type), the offset of the packets' end, and
/// packets.
fn file(streams: &[(i32, &str)], end: i64, packets: &[(i32, Vec<u8>)]) -> Vec<u8> {
    file_packed(0, streams, end, packets)
}

fn file_packed(packing: i32, streams: &[(i32, &str)], end: i64, packets: &[(i32, Vec<u8>)]) -> Vec<u8> {
    let stream =
        |(id, kind): &(i32, &str)| format!("<node name=\"{id}\"><attr key=\"typeIdentifier\">{kind}</attr></node>");
    let streams: String = streams.iter().map(stream).collect();
    let mut bytes = MAGIC.to_vec();
    header::write_text(packing, end, &format!("<dv><node name=\"outInfo\">{streams}</node></dv>"), &mut bytes);
    for (id, packet) in packets {
        bytes.extend([*id, packet.len() as i32].map(i32::to_le_bytes).concat());
        bytes.extend(packet);
    }
    bytes
}

/// A packet of one event at time `t`.
fn packet_at(t: i64) -> Vec<u8> {
    let head = [&44u32.to_le_bytes()[..], &16u32.to_le_bytes(), b"EVTS\0\0", &[6, 0, 8, 0, 4, 0]].concat();
    let table = [6u32, 4, 1].map(u32::to_le_bytes).concat();
    [head, table, t.to_le_bytes().to_vec(), vec![3, 0, 2, 0, 1, 0, 0, 0]].concat()
}

fn times(bytes: &[u8], stream: Option<i32>) -> Result<Vec<u64>> {
    let (mut decoder, mut out) = (decoder("x", stream), Columns::new());
    let result = decoder.push(bytes, &mut out).and_then(|()| decoder.finish(&mut out));
    result.map(|()| out.t_us)
}

#[test]
fn other_streams_are_passed_by() {
    let bytes =
        file(&[(0, "IMUS"), (3, "EVTS")], -1, &[(0, vec![9; 100]), (3, packet_at(5)), (0, vec![]), (3, packet_at(6))]);
    assert_eq!(times(&bytes, None).unwrap(), [5, 6]);
    let cut = times(&bytes[..bytes.len() - 121], None);
    assert_problem!(cut.unwrap_err(), Truncation::Incomplete { part: "a packet" });
}

#[test]
fn of_two_streams_of_events_one_is_named() {
    let bytes = file(&[(0, "EVTS"), (1, "EVTS")], -1, &[(0, packet_at(5)), (1, packet_at(6))]);
    let error = times(&bytes, None).unwrap_err();
    let Error::Streams { streams, wanted: None, .. } = &error else { panic!("{error}") };
    assert_eq!(streams.iter().map(|s| s.number).collect::<Vec<_>>(), [0, 1]);
    assert_eq!((times(&bytes, Some(0)).unwrap(), times(&bytes, Some(1)).unwrap()), (vec![5], vec![6]));
    assert!(times(&bytes, Some(2)).is_err());
    assert_problem!(times(&file(&[(0, "FRME")], -1, &[]), None).unwrap_err(), PacketProblem::NoEvents);
}

#[test]
fn packets_end_where_the_header_says() {
    let streams = [(0, "EVTS")];
    let whole = file(&streams, -1, &[(0, packet_at(5)), (0, packet_at(6))]);
    let end = whole.len() as i64;
    let with_table = [file(&streams, end, &[(0, packet_at(5)), (0, packet_at(6))]), vec![7; 33]].concat();
    assert_eq!(times(&with_table, None).unwrap(), [5, 6]);
    let error = times(&file(&streams, end, &[(0, packet_at(5))]), None).unwrap_err();
    assert_problem!(error, Truncation::Packets { end: end as u64 });
    let error = times(&file(&streams, end - 1, &[(0, packet_at(5)), (0, packet_at(6))]), None).unwrap_err();
    assert_problem!(error, PacketProblem::BehindEnd { end: end as u64 });
    assert_problem!(times(&file(&streams, 20, &[]), None).unwrap_err(), PacketProblem::EndInHeader { end: 20 });
    assert_eq!(times(&file(&streams, 0, &[(0, packet_at(5))]), None).unwrap(), [5], "a recorder that was killed");
}

#[test]
fn a_packet_that_is_wrong_names_its_byte() {
    let streams = [(0, "EVTS")];
    let at = file(&streams, -1, &[(0, packet_at(5))]).len();
    let mut letters = packet_at(6);
    letters[8] = b'F';
    let mut count = packet_at(6);
    count[28] = 200;
    let bytes = packet_at(6).len();
    let longer =
        Problem::Expected { what: "{} bytes", found: (bytes - 3).to_string(), expected: (bytes - 4).to_string() };
    for (packet, problem) in [
        ((7, packet_at(6)), PacketProblem::Stream { stream: 7, bytes: bytes as i32 }.into()),
        ((0, packet_at(-1)), PacketProblem::NegativeEvent.into()),
        ((0, letters), PacketProblem::Letters { letters: "EVTS".into() }.into()),
        ((0, count), PacketProblem::Elements { count: 200, size: 16, bytes: bytes - 4 }.into()),
        ((0, vec![]), Truncation::Buffer { found: 0, expected: 4 }.into()),
        ((0, [packet_at(6), vec![0]].concat()), longer),
    ] {
        let error = times(&file(&streams, -1, &[(0, packet_at(5)), packet]), None).unwrap_err();
        assert_problem!(error, at format!("x: byte {at}: "), problem);
    }
}

/// Decodes a file as a whole and byte by byte; returns the times up to the end or the error.
fn both_ways(bytes: &[u8]) -> (Vec<u64>, std::result::Result<(), String>) {
    let run = |whole: bool| {
        let (mut decoder, mut out, mut done) = (decoder("x", None), Columns::new(), 0);
        let mut step = || {
            while done < bytes.len() {
                done += if whole {
                    decoder.take(&bytes[done..], &mut out)?
                } else {
                    decoder.push(&bytes[done..=done], &mut out).map(|()| 1)?
                };
            }
            decoder.finish(&mut out)
        };
        let end = step().map_err(|e| e.to_string());
        (out.t_us, end)
    };
    let (whole, parts) = (run(true), run(false));
    assert_eq!(whole, parts);
    whole
}

#[test]
fn packets_that_are_unpacked_by_twos_are_what_they_are_one_by_one() {
    use std::io::Write;
    let packed = |bytes: &[u8]| {
        let mut to = lz4_flex::frame::FrameEncoder::new(Vec::new());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    };
    let mut broken = packed(&packet_at(9));
    broken[20] ^= 0xFF;
    let before = packed(&packet_at(-1));
    let packet = |i: usize| (3, packed(&packet_at(i as i64)));
    let other = (0, vec![9; 100]);
    for gaps in 0..32usize {
        let mut packets = Vec::new();
        for i in 0..5 {
            packets.extend((gaps >> i & 1 == 1).then(|| other.clone()));
            packets.push(packet(i));
        }
        let bytes = file_packed(1, &[(0, "IMUS"), (3, "EVTS")], -1, &packets);
        assert_eq!(both_ways(&bytes), ((0..5).collect(), Ok(())));
        for cut in 1..300 {
            let _ = both_ways(&bytes[..bytes.len() - cut]);
        }
        for (at, wrong) in (0..packets.len()).flat_map(|at| [&broken, &before].map(|wrong| (at, wrong))) {
            let mut packets = packets.clone();
            packets[at] = (3, wrong.clone());
            let good = packets[..at].iter().filter(|(id, _)| *id == 3).count() as u64;
            let (times, end) = both_ways(&file_packed(1, &[(0, "IMUS"), (3, "EVTS")], -1, &packets));
            assert_eq!(times, (0..good).collect::<Vec<_>>());
            let place = file_packed(1, &[(0, "IMUS"), (3, "EVTS")], -1, &packets[..at]).len();
            assert!(end.unwrap_err().starts_with(&format!("x: byte {place}: ")));
        }
    }
}
