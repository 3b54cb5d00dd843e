//! Decodes the events of a packet: a table `EVTS` with one vector of 16 bytes per event (i64 t in
//! µs, i16 x, i16 y, u8 on, 3 unused).

mod wide;

use tickless_simd::{Isa, Loop};

use super::flat::{Origin, Table};
use super::unpack::Unpacked;
use crate::problem::PacketProblem;
use crate::{Columns, Result};

const EVENT: usize = 16;
/// Number of events whose columns are written in one block.
const BLOCK: usize = 1024;

/// Appends the events of a decompressed packet.
pub fn append(unpacked: Unpacked<'_>, place: Origin<'_>, out: &mut Columns) -> Result<()> {
    let unpacked = unpacked.map_err(|problem| place.fault(problem))?;
    let elements = Table::root(unpacked, *b"EVTS", place)?.vector(0, EVENT)?;
    add(elements, out).map_err(|problem| place.fault(problem))
}

fn add(elements: &[u8], out: &mut Columns) -> Result<(), PacketProblem> {
    let before = out.len();
    let (elements, _) = elements.as_chunks::<EVENT>();
    let signs = decode(elements, Isa::best(), out);
    if signs.0 >> 63 == 1 || signs.1 & 0x8000_8000 != 0 {
        out.truncate(before);
        return Err(PacketProblem::NegativeEvent);
    }
    Ok(())
}

/// Appends events. Returns the bitwise or of all times and of all pixels, whose sign bits reveal
/// negative values.
fn decode(elements: &[[u8; EVENT]], isa: Isa, out: &mut Columns) -> (u64, u64) {
    let (taken, signs) = wide::elements(isa, elements, out);
    let rest = isa.run(Elements { elements: &elements[taken..], out });
    (signs.0 | rest.0, signs.1 | rest.1)
}

/// Events to decode; see [`decode`] for the result.
struct Elements<'a> {
    elements: &'a [[u8; EVENT]],
    out: &'a mut Columns,
}

impl Loop for Elements<'_> {
    type Out = (u64, u64);

    #[inline(always)]
    fn run(self) -> (u64, u64) {
        let Elements { elements, out } = self;
        let mut signs = (0, 0);
        // Each block is so small that its columns stay in the L1 cache.
        for block in elements.chunks(BLOCK) {
            let slots = out.grow(block.len());
            let columns = slots.t_us.iter_mut().zip(slots.x).zip(slots.y).zip(slots.on);
            for (e, (((t, x), y), on)) in block.iter().zip(columns) {
                let e = u128::from_le_bytes(*e);
                let (time, pixel) = (e as u64, (e >> 64) as u64);
                signs = (signs.0 | time, signs.1 | pixel);
                (*t, *x, *y, *on) = (time, pixel as u16, (pixel >> 16) as u16, pixel >> 32 & 0xFF != 0);
            }
        }
        signs
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn vectors_of_every_width_decode_the_same(
            elements in prop::collection::vec(any::<[u8; EVENT]>(), 0..200), before in 0usize..3,
        ) {
            let decoded: Vec<_> = Isa::available().into_iter().map(|isa| {
                let mut out = Columns::new();
                out.grow(before);
                let signs = decode(&elements, isa, &mut out);
                (out, signs)
            }).collect();
            prop_assert!(decoded.iter().all(|d| *d == decoded[0]));
        }
    }
}
