//! A value that one operator of a backend leaves for another.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// What one operator of a backend leaves for another of the same; nobody else looks inside.
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
    /// Around a backend's own value.
    pub(crate) fn new<T: Any + Debug + Send + Sync>(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// The value.
    ///
    /// # Panics
    /// If another backend has made it.
    pub(crate) fn get<T: Any>(&self) -> &T {
        // The trait object itself is `Any` too: ask what it points at.
        (*self.0).as_any().downcast_ref().expect("a value is read by the backend that made it")
    }
}
