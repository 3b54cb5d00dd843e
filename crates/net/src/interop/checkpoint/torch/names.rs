//! The names that a pickle may import, and what calling them makes.
//!
//! Nothing is looked up or called: each name of the list stands for code of this module. The list
//! has what `torch.save` writes for tensors, parameters and containers, of those names that
//! `torch.load(weights_only=True)` allows too.

use super::super::tensor::{Number, Storage, Tensor};
use super::value::{Arena, Id, Name, Value};

/// The name `module.name` of the list; a dtype such as `torch.float32` is a value without a call.
pub(super) fn value_of(module: &str, name: &str) -> Option<Value<'static>> {
    let named = match (module, name) {
        ("collections", "OrderedDict") => Name::OrderedDict,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Name::Tensor,
        ("torch._utils", "_rebuild_tensor_v3") => Name::TypedTensor,
        ("torch._utils", "_rebuild_parameter") => Name::Parameter,
        ("torch", "Size") | ("builtins" | "__builtin__", "set" | "frozenset") => Name::Items,
        ("torch", "device")
        | ("torch.serialization", "_get_layout")
        | ("_codecs", "encode")
        | ("builtins" | "__builtin__", "bytearray") => Name::Other,
        ("torch", "FloatStorage") => Name::Storage(Number::F32),
        ("torch", "DoubleStorage") => Name::Storage(Number::F64),
        ("torch", "HalfStorage") => Name::Storage(Number::F16),
        ("torch", "BFloat16Storage") => Name::Storage(Number::Bf16),
        ("torch", "CharStorage") => Name::Storage(Number::I8),
        ("torch", "ShortStorage") => Name::Storage(Number::I16),
        ("torch", "IntStorage") => Name::Storage(Number::I32),
        ("torch", "LongStorage") => Name::Storage(Number::I64),
        ("torch", "ByteStorage") => Name::Storage(Number::U8),
        ("torch", "BoolStorage") => Name::Storage(Number::Bool),
        ("torch", "ComplexFloatStorage") => Name::Storage(Number::Complex64),
        ("torch", "ComplexDoubleStorage") => Name::Storage(Number::Complex128),
        ("torch.storage", "UntypedStorage") => Name::Storage(Number::U8),
        ("torch", dtype) => {
            return Number::WORDS.iter().find(|(word, _)| *word == dtype).map(|(_, n)| Value::Number(*n));
        }
        _ => return None,
    };
    Some(Value::Name(named))
}

/// What else to do about a tensor that is written with a name outside the list, because saving the
/// state dict alone does not help; empty for all other names.
pub(super) fn remedy(module: &str, name: &str) -> &'static str {
    let unread = ["float8", "float4", "bits", "complex32", "bcomplex32"];
    match (module, name) {
        ("torch._utils", "_rebuild_qtensor") => ", with the values of quantised tensors: v.dequantize()",
        ("torch._utils", "_rebuild_sparse_tensor") => ", with sparse tensors made dense: v.to_dense()",
        ("torch._utils", "_rebuild_meta_tensor_no_storage") => ", when its tensors have left the device `meta`",
        ("torch", dtype) if unread.iter().any(|d| dtype.starts_with(d)) => {
            ", with tensors of this type as float32: v.float()"
        }
        _ => "",
    }
}

/// Most tensors of a file; each takes about 400 bytes.
pub(super) const MOST_TENSORS: usize = 1 << 18;

/// Most sides of a tensor; weights have at most five.
const MOST_SIDES: usize = 8;

/// The value of a call of `name` with the arguments `args`; `tensors` counts the tensors so far.
///
/// # Errors
/// If the arguments are not those that `torch.save` writes.
pub(super) fn call(name: Name, args: Id, arena: &mut Arena<'_>, tensors: &mut usize) -> Result<Id, String> {
    let given =
        arena.list(args).ok_or_else(|| format!("calls a name with {} for arguments", arena.get(args).kind()))?;
    match (name, given) {
        (Name::OrderedDict, []) => Ok(arena.add(Value::Dict(Vec::new()))),
        (Name::OrderedDict, _) => Err("calls collections.OrderedDict with arguments, which torch.save does not".into()),
        (Name::Tensor | Name::TypedTensor, [storage, offset, shape, strides, rest @ ..]) => {
            let (storage, offset, shape, strides) = (*storage, *offset, *shape, *strides);
            // After these come `requires_grad` and the hooks, then the dtype if the name has one.
            let (dtype, metadata) = if name == Name::Tensor { (None, rest.get(2)) } else { (rest.get(2), rest.get(3)) };
            let number = match (name, dtype.map(|d| arena.get(*d))) {
                (Name::Tensor, _) => None,
                (_, Some(Value::Number(number))) => Some(*number),
                (_, Some(other)) => return Err(format!("makes a tensor of {} where a dtype belongs", other.kind())),
                (_, None) => return Err("calls torch._utils._rebuild_tensor_v3 with too few arguments".into()),
            };
            if let Some(Value::Dict(items)) = metadata.map(|m| arena.get(*m))
                && let Some((key, _)) = items.first()
            {
                let key = arena.text(*key).unwrap_or("metadata").escape_debug();
                return Err(format!(
                    "a tensor has the mark `{key}`, so its values are not those of its storage; save a copy of it: \
                     v.resolve_conj().resolve_neg()"
                ));
            }
            *tensors += 1;
            if *tensors > MOST_TENSORS {
                return Err(format!("has more than {MOST_TENSORS} tensors"));
            }
            let made = tensor(arena, number, storage, offset, shape, strides)?;
            Ok(arena.add(Value::Tensor(Box::new(made))))
        }
        (Name::Tensor | Name::TypedTensor, _) => {
            Err("calls torch._utils._rebuild_tensor with too few arguments".into())
        }
        (Name::Parameter, [data, ..]) if matches!(arena.get(*data), Value::Tensor(_)) => Ok(*data),
        (Name::Parameter, _) => Err("calls torch._utils._rebuild_parameter without a tensor".into()),
        (Name::Items, []) => Ok(arena.add(Value::List(Vec::new()))),
        (Name::Items, [items]) if arena.list(*items).is_some() => Ok(*items),
        (Name::Items, _) => Err("makes a set or torch.Size of something other than a list".into()),
        (Name::Other, _) => Ok(arena.add(Value::Other)),
        (Name::Storage(_), _) => Err("calls the type of a storage, which torch.save does not".into()),
    }
}

/// A view of a storage, of which the numbers have the type `number` if that is given.
fn tensor(
    arena: &Arena<'_>,
    number: Option<Number>,
    storage: Id,
    offset: Id,
    shape: Id,
    strides: Id,
) -> Result<Tensor, String> {
    let Value::Storage(storage) = arena.get(storage) else {
        return Err(format!("makes a tensor of {} where a storage belongs", arena.get(storage).kind()));
    };
    let sides = |id: Id, what: &str| {
        let list = arena.list(id).ok_or_else(|| format!("a tensor has {} for {what}", arena.get(id).kind()))?;
        if list.len() > MOST_SIDES {
            return Err(format!("a tensor has {} {what}, at most {MOST_SIDES} are read", list.len()));
        }
        let counts: Option<Vec<usize>> = list.iter().map(|i| arena.count(*i)).collect();
        counts.ok_or_else(|| format!("the {what} of a tensor are not numbers from 0 on"))
    };
    let offset = arena.count(offset).ok_or("the offset of a tensor is not a number from 0 on")?;
    let storage = Storage { number: number.unwrap_or(storage.number), ..Storage::clone(storage) };
    Tensor::new(storage, offset, sides(shape, "sides")?, sides(strides, "strides")?)
        .map_err(|e| format!("a tensor {e}"))
}
