//! A value that one operator of a backend computes and another operator of the same backend reads.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// A value that one operator of a backend computes for another operator of the same backend. Its
/// type is private to the backend.
#[derive(Debug, Clone)]
pub struct Encoded(Arc<dyn Opaque>);

trait Opaque: Any + Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
}

impl<T: Any + Debug + Send + Sync> Opaque for T {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Encoded {
    /// Wraps a backend's value.
    pub(crate) fn new<T: Any + Debug + Send + Sync>(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// The wrapped value.
    ///
    /// # Panics
    /// If a value of another type was wrapped, which another backend computed.
    pub(crate) fn get<T: Any>(&self) -> &T {
        // `&*self.0` is the inner value; `self.0` itself is `Any` too, with the type of the `Arc`.
        (*self.0).as_any().downcast_ref().expect("a value is read by the backend that made it")
    }
}
