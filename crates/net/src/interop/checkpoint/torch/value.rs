//! The values that a pickle makes.
//!
//! They lie in one arena and refer to each other by number. A container therefore costs the memory
//! of its references, also if a pickle puts the same container into itself, and dropping the arena
//! does not recurse.

use super::super::tensor::{Number, Storage, Tensor};

/// An imported name: one of the list in [`super::names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// `collections.OrderedDict`: an empty dictionary.
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`: a view of a storage.
    Tensor,
    /// `torch._utils._rebuild_tensor_v3`: a view of a storage of bytes, whose numbers have the type of
    /// the seventh argument.
    TypedTensor,
    /// `torch._utils._rebuild_parameter`: its tensor.
    Parameter,
    /// `torch.FloatStorage` and the like: the type of a storage's numbers.
    Storage(Number),
    /// `torch.Size`, `set` and `frozenset`: the items of their argument.
    Items,
    /// `torch.device`, `torch.serialization._get_layout`, `_codecs.encode`, `bytearray`: values that
    /// are no tensors, whatever their arguments.
    Other,
}

/// Number of a value in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id(u32);

/// A value; texts are those of the pickle's bytes.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    None,
    Bool,
    Int(i64),
    Float,
    Text(&'a str),
    Bytes,
    /// A list, set, tuple or `torch.Size`.
    List(Vec<Id>),
    /// A dictionary: keys and values in order.
    Dict(Vec<(Id, Id)>),
    /// An imported name of the list.
    Name(Name),
    Storage(Box<Storage>),
    Tensor(Box<Tensor>),
    /// A dtype whose numbers are read.
    Number(Number),
    /// A value that checkpoints may hold and that is no tensor: a dtype, a device, a long integer.
    Other,
}

impl Value<'_> {
    /// The kind of the value in messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool => "a bool",
            Value::Int(_) => "an int",
            Value::Float => "a float",
            Value::Text(_) => "a text",
            Value::Bytes => "bytes",
            Value::List(_) => "a list",
            Value::Dict(_) => "a dict",
            Value::Name(_) => "an imported name",
            Value::Storage(_) => "a storage",
            Value::Tensor(_) => "a tensor",
            Value::Number(_) | Value::Other => "a dtype or device",
        }
    }
}

/// All values of a pickle.
#[derive(Debug, Default)]
pub(super) struct Arena<'a> {
    values: Vec<Value<'a>>,
}

impl<'a> Arena<'a> {
    /// Adds a value. A pickle makes at most one per byte, so the number fits for every file whose
    /// pickle is shorter than 4 GB ([`super::archive`] refuses longer ones).
    pub fn add(&mut self, value: Value<'a>) -> Id {
        self.values.push(value);
        Id((self.values.len() - 1) as u32)
    }

    pub fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id.0 as usize]
    }

    pub fn get_mut(&mut self, id: Id) -> &mut Value<'a> {
        &mut self.values[id.0 as usize]
    }

    /// The items of a list or tuple.
    pub fn list(&self, id: Id) -> Option<&[Id]> {
        if let Value::List(items) = self.get(id) { Some(items) } else { None }
    }

    /// An int that counts something.
    pub fn count(&self, id: Id) -> Option<usize> {
        if let Value::Int(n) = self.get(id) { usize::try_from(*n).ok() } else { None }
    }

    pub fn text(&self, id: Id) -> Option<&'a str> {
        if let Value::Text(text) = self.get(id) { Some(text) } else { None }
    }
}
