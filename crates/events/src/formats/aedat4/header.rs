//! The header of AEDAT4: the compression, the end of the packets, and the streams.
//!
//! It is a table `IOHE` with an i32 compression, an i64 position of the data table (-1: none) and a
//! text. The text is XML. Its node `outInfo` has a node for each stream, whose name is the stream's
//! number, with the attribute `typeIdentifier` (`EVTS`, `FRME`, `IMUS`, `TRIG`) and a node `info`
//! with `sizeX` and `sizeY`.

use roxmltree::{Document, Node, ParsingOptions};

use super::Compression;
use super::flat::{Origin, Table};
use crate::problem::{PacketProblem, Problem};
use crate::{Result, Sensor};

/// The content of a header.
#[derive(Debug)]
pub struct Header {
    pub compression: Compression,
    /// Offset of the end of the packets, if the file states it.
    pub end: Option<u64>,
    pub streams: Vec<Stream>,
}

/// One of the streams of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    pub id: i32,
    pub events: bool,
    /// The camera, or else the name of the software's output.
    pub name: String,
    pub sensor: Option<Sensor>,
}

/// The largest number of XML nodes; files have some hundred.
const MOST_NODES: u32 = 100_000;
/// The largest number of attributes of a node, because the XML parser compares all pairs of them;
/// files have two.
const MOST_ATTRIBUTES: usize = 1_000;

/// Parses the header's buffer, which begins with its size.
pub fn parse(bytes: &[u8], file: &str, at: u64) -> Result<Header> {
    let place = Origin { file, at, what: "the header of AEDAT4" };
    let table = Table::root(bytes, *b"IOHE", place)?;
    let compression = table.i32(0, 0)?;
    let compression = match compression {
        0 => Compression::None,
        1 | 2 => Compression::Lz4,
        #[cfg(feature = "zstd")]
        3 | 4 => Compression::Zstd,
        #[cfg(not(feature = "zstd"))]
        3 | 4 => {
            let remedy = "build with the feature `zstd`";
            return Err(crate::Error::malformed(
                file,
                at,
                "packets are packed with ZSTD, which this build does not read",
                remedy,
            ));
        }
        _ => return Err(place.fault(format!("compression {compression}; 0 to 4 are known"))),
    };
    // A recorder that was killed leaves 0, which lies inside the header.
    let end = u64::try_from(table.i64(1, -1)?).ok().filter(|&end| end > 0);
    let text = String::from_utf8_lossy(table.vector(2, 1)?);
    let streams = streams(text.trim_end_matches('\0').trim()).map_err(|problem| place.fault(problem))?;
    Ok(Header { compression, end, streams })
}

fn streams(text: &str) -> Result<Vec<Stream>, Problem> {
    let crowded = |node: &str| node.bytes().filter(|&b| b == b'=').count() > MOST_ATTRIBUTES;
    if text.contains("xmlns") || text.split('<').any(crowded) {
        return Err(PacketProblem::Attributes.into());
    }
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|e| format!("its XML is broken ({e})"))?;
    let outputs = document.descendants().find(|n| is(*n, "node", "name", "outInfo"));
    let outputs = outputs.ok_or(PacketProblem::NoNode { node: "outInfo" })?;
    let stream = |node: Node| {
        let id = node.attribute("name")?.parse().ok()?;
        let events = value(node, "typeIdentifier") == Some("EVTS");
        let info = node.children().find(|n| is(*n, "node", "name", "info"));
        let size = |key| info.and_then(|info| value(info, key))?.trim().parse().ok();
        let sensor = size("sizeX").zip(size("sizeY")).map(|(width, height)| Sensor { width, height });
        let name = info.and_then(|info| value(info, "source")).or_else(|| value(node, "originalOutputName"));
        Some(Stream { id, events, name: name.unwrap_or_default().trim().into(), sensor })
    };
    Ok(outputs.children().filter(|n| n.has_tag_name("node")).filter_map(stream).collect())
}

/// The text of a node's attribute.
fn value<'a>(node: Node<'a, '_>, key: &str) -> Option<&'a str> {
    node.children().find(|n| is(*n, "attr", "key", key))?.text()
}

fn is(node: Node, tag: &str, attribute: &str, value: &str) -> bool {
    node.has_tag_name(tag) && node.attribute(attribute) == Some(value)
}

/// Appends a header for one stream of events.
pub fn write(compression: Compression, sensor: Sensor, out: &mut Vec<u8>) {
    let (number, name) = match compression {
        Compression::None => (0, "NONE"),
        Compression::Lz4 => (1, "LZ4"),
        #[cfg(feature = "zstd")]
        Compression::Zstd => (3, "ZSTD"),
    };
    let attribute = |key: &str, kind: &str, value: &str| format!("<attr key=\"{key}\" type=\"{kind}\">{value}</attr>");
    let text = [
        "<dv version=\"2.0\"><node name=\"outInfo\" path=\"/mainloop/Recorder/outInfo/\">",
        "<node name=\"0\" path=\"/mainloop/Recorder/outInfo/0/\">",
        &attribute("compression", "string", name),
        &attribute("originalModuleName", "string", "tickless"),
        &attribute("originalOutputName", "string", "events"),
        &attribute("typeDescription", "string", "Array of events (polarity ON/OFF)."),
        &attribute("typeIdentifier", "string", "EVTS"),
        "<node name=\"info\" path=\"/mainloop/Recorder/outInfo/0/info/\">",
        &attribute("sizeX", "int", &sensor.width.to_string()),
        &attribute("sizeY", "int", &sensor.height.to_string()),
        &attribute("source", "string", "tickless"),
        "</node></node></node></dv>",
    ]
    .concat();
    write_text(number, -1, &text, out);
}

/// Appends a header with a compression, the offset of the end of the packets, and a text.
pub fn write_text(compression: i32, end: i64, text: &str, out: &mut Vec<u8>) {
    // The root table is at 24. At 14, the layout: 10 bytes, table of 24 bytes, fields at 4, 12 and
    // 8. Then follows the table.
    let mut table = [&24u32.to_le_bytes()[..], b"IOHE", &[0; 6]].concat();
    table.extend([10u16, 24, 4, 12, 8].map(u16::to_le_bytes).concat());
    table.extend(10i32.to_le_bytes());
    table.extend(compression.to_le_bytes());
    table.extend(16u32.to_le_bytes());
    table.extend(end.to_le_bytes());
    table.extend([0; 4]);
    table.extend((text.len() as u32).to_le_bytes());
    table.extend(text.as_bytes());
    table.push(0);
    table.resize(table.len().next_multiple_of(4), 0);
    out.extend((table.len() as u32).to_le_bytes());
    out.extend(table);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xml(inside: &str) -> String {
        format!("<dv version=\"2.0\"><node name=\"outInfo\">{inside}</node></dv>")
    }

    #[test]
    fn streams_are_told_apart_by_type() {
        let text = xml(concat!(
            "<node name=\"0\"><attr key=\"typeIdentifier\">EVTS</attr>",
            "<node name=\"info\"><attr key=\"source\">DAVIS346_1</attr><attr key=\"sizeX\">346</attr><attr key=\"sizeY\">260</attr></node></node>",
            "<node name=\"2\"><attr key=\"typeIdentifier\">IMUS</attr><node name=\"info\"/></node>",
        ));
        let sensor = Some(Sensor { width: 346, height: 260 });
        let camera = Stream { id: 0, events: true, name: "DAVIS346_1".into(), sensor };
        let expected = [camera, Stream { id: 2, events: false, name: String::new(), sensor: None }];
        assert_eq!(streams(&text).unwrap(), expected);
    }

    #[test]
    fn broken_and_hostile_xml_is_refused() {
        assert!(streams("").is_err());
        assert_eq!(streams("<dv></dv>"), Err(PacketProblem::NoNode { node: "outInfo" }.into()));
        assert!(streams(&xml("<node>")).is_err());
        let deep = "<a>".repeat(1_000_000);
        assert!(streams(&deep).is_err());
        let closed = ["<a>".repeat(100_000), "</a>".repeat(100_000)].concat();
        assert!(streams(&closed).is_err());
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbbbbbb\"><!ENTITY c \"&b;&b;&b;&b;\">]><dv>&c;</dv>";
        assert!(streams(bomb).is_err());
        let attributes: String = (0..100_000).map(|i| format!(" a{i}=''")).collect();
        assert_eq!(streams(&format!("<dv{attributes}/>")), Err(PacketProblem::Attributes.into()));
        let wide = xml(&"<b/>".repeat(MOST_NODES as usize));
        assert!(streams(&wide).is_err());
    }

    #[test]
    fn the_header_that_is_written_is_read() {
        let sensor = Sensor { width: 346, height: 260 };
        let mut bytes = Vec::new();
        write(Compression::Lz4, sensor, &mut bytes);
        let header = parse(&bytes, "x", 14).unwrap();
        assert_eq!((header.compression, header.end), (Compression::Lz4, None));
        let name = "tickless".into();
        assert_eq!(header.streams, [Stream { id: 0, events: true, name, sensor: Some(sensor) }]);
    }
}
