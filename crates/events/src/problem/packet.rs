//! The problems of packets of AEDAT 3.1 and 4.

/// How a packet contradicts itself or its format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketProblem {
    /// A field of the header of a packet is negative.
    #[error("a packet with a negative size, overflow or capacity")]
    Negative,
    /// The numbers of events contradict each other.
    #[error("a packet of {events} events, {valid} valid, with room for {capacity}")]
    Counts {
        /// The number of events.
        events: u32,
        /// The number of valid events.
        valid: u32,
        /// The number of events for which the packet has room.
        capacity: u32,
    },
    /// Polarity events of another layout.
    #[error("polarity events of {bytes} bytes with the time at byte {time_at}")]
    Layout {
        /// The size of an event in bytes.
        bytes: u32,
        /// The offset of the time in an event.
        time_at: u32,
    },
    /// The events have no size.
    #[error("a packet of {events} events of 0 bytes")]
    NoSize {
        /// The number of events.
        events: u32,
    },
    /// The packet is of a stream that the header does not list, or has a negative size.
    #[error(
        "a packet of {bytes} bytes of stream {stream}; the header knows no such stream, or no packet has such a size"
    )]
    Stream {
        /// The stream.
        stream: i32,
        /// The size of the packet in bytes.
        bytes: i32,
    },
    /// The file has no stream of events.
    #[error("no stream of events")]
    NoEvents,
    /// An event has a negative time or pixel.
    #[error("an event before time 0, or left of or above the sensor")]
    NegativeEvent,
    /// An event has a negative time.
    #[error("an event with a negative time")]
    NegativeTime,
    /// The packet does not contain the letters of its type.
    #[error("the letters {letters} are missing")]
    Letters {
        /// The letters.
        letters: String,
    },
    /// A vector is longer than the packet.
    #[error("{count} elements of {size} bytes in {bytes} bytes")]
    Elements {
        /// The number of elements.
        count: usize,
        /// The size of an element in bytes.
        size: usize,
        /// The size of the packet in bytes.
        bytes: usize,
    },
    /// The header states that the packets end inside it.
    #[error("packets up to byte {end}, which lies inside the header")]
    EndInHeader {
        /// The end that the header states.
        end: u64,
    },
    /// A packet ends after the end of all packets that the header states.
    #[error("a packet up to byte {end}, behind the end of all packets")]
    BehindEnd {
        /// The end of the packet.
        end: u64,
    },
    /// A packet unpacks to more bytes than a recorder writes.
    #[error("more than {limit} bytes unpacked")]
    Bomb {
        /// The largest size in bytes.
        limit: usize,
    },
    /// The header of the file is XML that lists no streams.
    #[error("its XML has no node `{node}`, which lists the streams")]
    NoNode {
        /// The name of the node.
        node: &'static str,
    },
    /// The header of the file is XML of name spaces or of too many attributes.
    #[error("its XML has name spaces, or a node of more than 1,000 attributes")]
    Attributes,
}
