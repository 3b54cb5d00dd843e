//! Decodes LZ4 blocks.
//!
//! A block is a list of sequences. A sequence begins with a token, whose high 4 bits are the number
//! of literals and whose low 4 bits are the length of a match minus 4. If one of them is 15, bytes
//! follow that are added to it, up to the first below 255. Then follow the literals and a u16
//! offset: how many bytes before the current position the match begins. A match may overlap the
//! bytes that it produces. The last sequence ends after its literals.
//!
//! [`sequence`] is the scalar version and decodes every sequence; [`super::kernel`] decodes the
//! short ones, of which events consist. This crate has its own decoder because a general library
//! spends half of its time on short sequences, and decodes only one packet at a time
//! (`benches/RESULTS.md`).

use super::kernel::{self, Run};

/// Decodes one sequence; returns true if it was the last. The error states what is wrong with the
/// block.
pub fn sequence(run: &mut Run<'_>) -> Result<bool, &'static str> {
    let token = usize::from(take::<1>(run)?[0]);
    let literals = length(token >> 4, run)?;
    let from = run.packed[run.at..].get(..literals).ok_or(CUT)?;
    run.out[run.n..].get_mut(..literals).ok_or(LARGE)?.copy_from_slice(from);
    run.at += literals;
    run.n += literals;
    if run.at == run.packed.len() {
        return Ok(true);
    }
    let offset = usize::from(u16::from_le_bytes(take(run)?));
    let matched = length(token & 15, run)?.saturating_add(4);
    if offset == 0 || offset > run.n - run.base {
        return Err("it refers to bytes before its first");
    }
    if matched > run.out.len() - run.n {
        return Err(LARGE);
    }
    // A match that overlaps its own output repeats with a period of `offset`. Each copy doubles the
    // repeated part: 1, 3, 7 … times the offset.
    let (start, mut done) = (run.n - offset, 0);
    while done < matched {
        let more = (matched - done).min(offset + done);
        run.out.copy_within(start..start + more, run.n + done);
        done += more;
    }
    run.n += matched;
    Ok(false)
}

const CUT: &str = "it ends in a sequence";
const LARGE: &str = "more bytes than its frame allows";

fn take<const N: usize>(run: &mut Run<'_>) -> Result<[u8; N], &'static str> {
    let taken = run.packed[run.at..].first_chunk().copied().ok_or(CUT)?;
    run.at += N;
    Ok(taken)
}

fn length(bits: usize, run: &mut Run<'_>) -> Result<usize, &'static str> {
    let mut length = bits;
    if bits == 15 {
        loop {
            let [more] = take(run)?;
            length = length.saturating_add(more.into());
            if more < 255 {
                break;
            }
        }
    }
    Ok(length)
}

/// Decodes the rest of a block.
pub fn rest(run: &mut Run<'_>) -> Result<(), &'static str> {
    loop {
        kernel::unpack_one(run);
        if sequence(run)? {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use lz4_flex::block::{compress, decompress_into_with_dict};
    use proptest::prelude::*;

    use super::*;

    /// Decodes a block with `how`, after the bytes `before`, into at most `room` bytes.
    fn unpacked(
        packed: &[u8],
        before: &[u8],
        room: usize,
        how: impl Fn(&mut Run<'_>) -> Result<(), &'static str>,
    ) -> Result<Vec<u8>, &'static str> {
        let mut out = [before, &vec![0; room]].concat();
        let mut run = Run { packed, at: 0, out: &mut out, n: before.len(), base: 0 };
        how(&mut run)?;
        let n = run.n;
        Ok(out[before.len()..n].to_vec())
    }

    fn scalar(run: &mut Run<'_>) -> Result<(), &'static str> {
        while !sequence(run)? {}
        Ok(())
    }

    /// Decodes two blocks alternately.
    fn both(blocks: [&[u8]; 2], before: &[u8], room: usize) -> [Result<Vec<u8>, &'static str>; 2] {
        let mut outs = [(); 2].map(|()| [before, &vec![0; room]].concat());
        let [a, b] = &mut outs;
        let mut a = Run { packed: blocks[0], at: 0, out: a, n: before.len(), base: 0 };
        let mut b = Run { packed: blocks[1], at: 0, out: b, n: before.len(), base: 0 };
        let ends = loop {
            kernel::unpack_two(&mut a, &mut b);
            match (sequence(&mut a), sequence(&mut b)) {
                (Ok(false), Ok(false)) => {}
                (first, second) => {
                    let end = |run: &mut Run<'_>, one: Result<bool, _>| if one? { Ok(()) } else { rest(run) };
                    break [end(&mut a, first).map(|()| a.n), end(&mut b, second).map(|()| b.n)];
                }
            }
        };
        let mut ends = ends.into_iter();
        outs.map(|out| ends.next().unwrap().map(|n| out[before.len()..n].to_vec()))
    }

    /// Bytes like those of events: 8 bytes of time, which change little, and 8 bytes of a pixel.
    fn events() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec((0u64..300, 0u64..5, any::<bool>()), 0..400).prop_map(|events| {
            let mut t = 1 << 40;
            let mut bytes = Vec::new();
            for (dt, pixel, on) in events {
                t += dt / 40;
                bytes.extend(t.to_le_bytes());
                bytes.extend(((pixel * 0x0003_0001) | (u64::from(on) << 32)).to_le_bytes());
            }
            bytes
        })
    }

    fn agree(packed: &[u8], other: &[u8], before: &[u8], room: usize) {
        let slow = unpacked(packed, before, room, scalar);
        assert_eq!(unpacked(packed, before, room, rest), slow);
        let slow_other = unpacked(other, before, room, scalar);
        assert_eq!(both([packed, other], before, room), [slow.clone(), slow_other.clone()]);
        assert_eq!(both([other, packed], before, room), [slow_other, slow.clone()]);
        // Both must agree with the library.
        let mut out = vec![0; room];
        let library = decompress_into_with_dict(packed, &mut out, before);
        match (slow, library) {
            (Ok(bytes), Ok(n)) => assert_eq!(bytes, out[..n]),
            (Err(_), Err(_)) => {}
            (ours, library) => panic!("{ours:?}, and the library {library:?}"),
        }
    }

    #[test]
    fn a_match_repeats_what_it_gives_itself() {
        for (offset, literals) in (1..=20).flat_map(|o| (o..=20).map(move |l| (o, l))) {
            let first: Vec<u8> = (0..literals as u8).collect();
            let mut packed = vec![0xFF, literals as u8 - 15 * u8::from(literals >= 15)];
            if literals < 15 {
                packed = vec![(literals as u8) << 4 | 15];
            }
            packed.extend(&first);
            packed.extend([offset as u8, 0, 81, 0x10, 9]);
            let mut expected = first;
            (0..100).for_each(|_| expected.push(expected[expected.len() - offset]));
            expected.push(9);
            agree(&packed, &packed, &[], 200);
            assert_eq!(unpacked(&packed, &[], 200, rest).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn blocks_of_events_unpack_alone_and_by_twos(a in events(), b in events(), before in events()) {
            for bytes in [&a, &b] {
                prop_assert_eq!(&unpacked(&compress(bytes), &[], bytes.len(), rest).unwrap(), bytes);
            }
            let (a, b) = (compress(&a), compress(&b));
            agree(&a, &b, &before, 16 * 400);
        }

        #[test]
        fn changed_cut_and_crowded_blocks_are_taken_as_the_scalar_form_takes_them(
            a in events(), b in events(), before in events(), room in 0usize..6500, cut in any::<prop::sample::Index>(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let mut a = compress(&a);
            for (at, to) in changes {
                let at = at.index(a.len());
                a[at] = to;
            }
            agree(&a, &compress(&b), &before, room);
            agree(&a[..cut.index(a.len() + 1)], &compress(&b), &before, room);
        }

        #[test]
        fn any_bytes_are_taken_as_the_scalar_form_takes_them(
            a in prop::collection::vec(any::<u8>(), 0..300), b in prop::collection::vec(0u8..0x40, 0..300),
        ) {
            agree(&a, &b, &[7; 40], 2000);
            agree(&b, &a, &(0..200).collect::<Vec<_>>(), 1000);
        }
    }
}
