//! Workers that are processes on one or several hosts, connected by MPI
//! (`mpirun -n 2 tickless train …`).
//!
//! `MPI_Allreduce` does not define the order of addition, so sums could differ between runs. Here
//! the values are cut into P parts: each process receives its part from all (`MPI_Alltoall`), adds
//! in rank order, in f64, and sends the sums to all (`MPI_Allgather`). For n values a process sends
//! about 2·n, as in the best all-reduce algorithms, and it gets the same bits every time.

use super::{Group, Ranks};
use crate::error::{Error, Result};
use mpi::Threading;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Equivalence, Root};
use std::sync::Arc;

/// Values of one message; a limit is needed because MPI counts in 32 bits.
const PIECE: usize = 1 << 22;

/// Membership of this process in MPI; dropping it leaves MPI.
pub struct World {
    _universe: Universe,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    /// Joins the other processes. From then on a panic in one process ends all of them.
    ///
    /// # Errors
    /// If this process has joined before.
    pub fn join() -> Result<Self> {
        // Only one thread sends at a time: the training thread, or a pool thread while that one
        // waits.
        let joined = mpi::initialize_with_threading(Threading::Serialized);
        let (universe, _) = joined.ok_or(Error::AlreadyJoined)?;
        let say = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            say(panic);
            SimpleCommunicator::world().abort(101);
        }));
        Ok(Self { _universe: universe })
    }

    /// This process's rank among the processes.
    pub fn ranks(&self) -> Ranks {
        let world = SimpleCommunicator::world();
        let count = |n: i32| usize::try_from(n).unwrap_or_default();
        Ranks::of(Arc::new(Processes { rank: count(world.rank()), size: count(world.size()) }))
    }

    /// Ends all processes at once with this exit code.
    pub fn abort(&self, code: i32) -> ! {
        SimpleCommunicator::world().abort(code)
    }
}

#[derive(Debug)]
struct Processes {
    rank: usize,
    size: usize,
}

/// A number type that the processes can sum.
trait Value: Equivalence + Copy + Default + Into<f64> {
    fn round(sum: f64) -> Self;
}

impl Value for f64 {
    fn round(sum: f64) -> Self {
        sum
    }
}

impl Value for f32 {
    fn round(sum: f64) -> Self {
        sum as f32
    }
}

impl Processes {
    fn sum<T: Value>(&self, values: &mut [T])
    where
        [T]: mpi::datatype::Buffer + mpi::datatype::BufferMut,
    {
        let world = SimpleCommunicator::world();
        for piece in values.chunks_mut(PIECE) {
            let part = piece.len().div_ceil(self.size);
            let mut all = piece.to_vec();
            all.resize(part * self.size, T::default());
            let mut parts = vec![T::default(); part * self.size];
            world.all_to_all_into(all.as_slice(), parts.as_mut_slice());
            let of_all = |k: usize| parts.iter().skip(k).step_by(part).map(|v| -> f64 { (*v).into() });
            let sums: Vec<T> = (0..part).map(|k| T::round(of_all(k).sum())).collect();
            world.all_gather_into(sums.as_slice(), all.as_mut_slice());
            piece.copy_from_slice(&all[..piece.len()]);
        }
    }
}

/// These operations return no errors, because by default a failure in MPI ends all processes.
impl Group for Processes {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn sum_f64(&self, values: &mut [f64]) -> Result<()> {
        self.sum(values);
        Ok(())
    }

    fn sum_f32(&self, values: &mut [f32]) -> Result<()> {
        self.sum(values);
        Ok(())
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) -> Result<()> {
        let world = SimpleCommunicator::world();
        let first = world.process_at_rank(0);
        let mut length = bytes.len() as u64;
        first.broadcast_into(&mut length);
        bytes.resize(length as usize, 0);
        bytes.chunks_mut(PIECE).for_each(|piece| first.broadcast_into(piece));
        Ok(())
    }

    fn barrier(&self) -> Result<()> {
        SimpleCommunicator::world().barrier();
        Ok(())
    }
}
