//! Several workers in one process, each with its own thread pool.
//!
//! Every operation is one exchange: each worker deposits its bytes, and when all have, each takes
//! the bytes of all. For a sum each worker then adds all values itself, in rank order. With the few
//! workers of one process, adding P times costs less than a more elaborate all-reduce.

use super::{Group, Ranks};
use crate::error::{Error, Result};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The bytes that every worker deposited in one exchange, in rank order.
type Laid = Arc<Vec<Vec<u8>>>;

#[derive(Debug, Default)]
struct MeetingState {
    laid: Vec<Vec<u8>>,
    arrived: usize,
    meetings: u64,
    last: Laid,
    left: Option<usize>,
}

#[derive(Debug)]
struct Meeting {
    size: usize,
    state: Mutex<MeetingState>,
    changed: Condvar,
}

/// One worker of a [`Meeting`].
#[derive(Debug)]
struct Worker {
    rank: usize,
    meeting: Arc<Meeting>,
}

impl Meeting {
    fn state(&self) -> MutexGuard<'_, MeetingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meet(&self, rank: usize, bytes: Vec<u8>) -> Result<Laid> {
        let mut state = self.state();
        let meeting = state.meetings;
        state.laid[rank] = bytes;
        state.arrived += 1;
        if state.arrived == self.size && state.left.is_none() {
            let fresh = vec![Vec::new(); self.size];
            state.last = Arc::new(std::mem::replace(&mut state.laid, fresh));
            state.arrived = 0;
            state.meetings += 1;
            self.changed.notify_all();
            return Ok(state.last.clone());
        }
        while state.meetings == meeting {
            if let Some(rank) = state.left {
                return Err(Error::WorkerLeft { rank });
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // The next exchange cannot complete without this worker, so `last` is still this
        // exchange's.
        Ok(state.last.clone())
    }
}

/// Marks the worker as left when dropped, on return and on panic, so that no other worker waits
/// for it.
struct Leaves<'a>(&'a Worker);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.meeting.state().left.get_or_insert(self.0.rank);
        self.0.meeting.changed.notify_all();
    }
}

impl Group for Worker {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.meeting.size
    }

    fn sum_f64(&self, values: &mut [f64]) -> Result<()> {
        let all = self.meeting.meet(self.rank, bytemuck::cast_slice(values).to_vec())?;
        values.fill(0.0);
        for laid in all.iter() {
            let each = laid.chunks_exact(8).map(bytemuck::pod_read_unaligned::<f64>);
            values.iter_mut().zip(each).for_each(|(sum, v)| *sum += v);
        }
        Ok(())
    }

    fn sum_f32(&self, values: &mut [f32]) -> Result<()> {
        let all = self.meeting.meet(self.rank, bytemuck::cast_slice(values).to_vec())?;
        // Blocks of 512, so that the sums stay in the L1 cache while each worker's values are
        // added.
        let mut sums = [0.0f64; 512];
        for (part, values) in values.chunks_mut(sums.len()).enumerate() {
            let (sums, from) = (&mut sums[..values.len()], part * 512 * 4);
            sums.fill(0.0);
            for laid in all.iter() {
                let each = laid[from..from + values.len() * 4].chunks_exact(4);
                let each = each.map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
                sums.iter_mut().zip(each).for_each(|(sum, v)| *sum += f64::from(v));
            }
            values.iter_mut().zip(sums).for_each(|(v, sum)| *v = *sum as f32);
        }
        Ok(())
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) -> Result<()> {
        let all = self.meeting.meet(self.rank, std::mem::take(bytes))?;
        bytes.clone_from(&all[0]);
        Ok(())
    }

    fn barrier(&self) -> Result<()> {
        self.meeting.meet(self.rank, Vec::new()).map(drop)
    }
}

/// Runs `work` on `size` workers, each with a pool of `threads` threads, and returns their results
/// in rank order.
///
/// # Errors
/// The first worker's error that is not [`Error::WorkerLeft`], else that; or if the system gives no
/// threads.
///
/// # Panics
/// If a worker panics.
pub fn run<T: Send>(size: usize, threads: usize, work: impl Fn(Ranks) -> Result<T> + Sync) -> Result<Vec<T>> {
    let state = MeetingState { laid: vec![Vec::new(); size], ..MeetingState::default() };
    let meeting = Arc::new(Meeting { size, state: Mutex::new(state), changed: Condvar::new() });
    let pool = || rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pools: Vec<_> = (0..size)
        .map(|_| pool().map_err(|e| Error::Threads { threads, problem: e.to_string() }))
        .collect::<Result<_>>()?;
    let results: Vec<Result<T>> = std::thread::scope(|scope| {
        let workers = pools.iter().enumerate().map(|(rank, pool)| {
            let worker = Arc::new(Worker { rank, meeting: meeting.clone() });
            let work = &work;
            scope.spawn(move || {
                let _leaves = Leaves(&worker);
                pool.install(|| work(Ranks::of(worker.clone())))
            })
        });
        let workers: Vec<_> = workers.collect();
        let joined: Vec<_> = workers.into_iter().map(|w| w.join()).collect();
        joined.into_iter().map(|r| r.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let (mut done, mut followed) = (Vec::with_capacity(size), None);
    for result in results {
        match result {
            Ok(t) => done.push(t),
            Err(e @ Error::WorkerLeft { .. }) => followed = followed.or(Some(e)),
            Err(e) => return Err(e),
        }
    }
    followed.map_or(Ok(done), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_adding_in_rank_order_on_every_worker() {
        let value = |rank: usize, k: usize| (1.0 + k as f64).powi(rank as i32 * 7 - 9) * 0.1;
        let mut want = [0.0; 33];
        for rank in 0..3 {
            want.iter_mut().enumerate().for_each(|(k, w)| *w += value(rank, k));
        }
        for _ in 0..50 {
            let sums = run(3, 1, |ranks| {
                let mut mine: Vec<f64> = (0..33).map(|k| value(ranks.rank(), k)).collect();
                let mut short: Vec<f32> = mine.iter().map(|v| *v as f32).collect();
                ranks.sum_f64(&mut mine)?;
                ranks.sum_f32(&mut short)?;
                Ok((mine, short))
            });
            let sums = sums.unwrap();
            assert!(sums.iter().all(|(s, _)| s.as_slice() == want));
            assert!(sums.iter().all(|(_, s)| *s == sums[0].1));
            assert!(sums[0].1.iter().zip(want).all(|(s, w)| (f64::from(*s) - w).abs() <= 1e-6 * w));
        }
    }

    #[test]
    fn what_the_first_has_made_is_had_by_all_and_made_once() {
        let made = run(4, 1, |ranks| {
            ranks.barrier()?;
            ranks.from_first(|| Ok(vec![7, ranks.rank() as u8]))
        });
        assert_eq!(made.unwrap(), vec![vec![7, 0]; 4]);
    }

    #[test]
    fn an_error_of_one_worker_ends_all_and_is_the_one_that_is_said() {
        let result = run(3, 1, |ranks| match ranks.rank() {
            2 => Err(Error::Checkpoint("no disk".into())),
            _ => ranks.barrier().and_then(|()| ranks.barrier()),
        });
        assert!(matches!(result, Err(Error::Checkpoint(problem)) if problem == "no disk"));
    }

    #[test]
    #[should_panic(expected = "worker one falls")]
    fn a_panic_of_one_worker_does_not_leave_the_others_waiting() {
        let _ = run(2, 1, |ranks| {
            assert!(ranks.is_first(), "worker one falls");
            ranks.barrier()
        });
    }
}
