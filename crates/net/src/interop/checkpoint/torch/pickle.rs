//! Runs the pickle of a checkpoint: a stack machine with the opcodes that `torch.save` writes.
//!
//! The opcodes are those of Python's `pickletools` that make numbers, texts, containers, references
//! to earlier values, and imports and calls of the names in [`super::names`]. Every other opcode is
//! refused with its name.

use super::archive::Archive;
use super::names::{call, remedy, value_of};
use super::value::{Arena, Id, Name, Value};
use std::collections::HashMap;

/// Runs `pickle` and returns its values and the one that it describes.
///
/// # Errors
/// If an opcode or name is outside the list, or the pickle is damaged. The message names the place.
pub(super) fn run<'a>(pickle: &'a [u8], archive: &Archive<'_>) -> Result<(Arena<'a>, Id), String> {
    let mut machine = Machine {
        rest: pickle,
        arena: Arena::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        tensors: 0,
    };
    loop {
        let at = pickle.len() - machine.rest.len();
        match machine.step(archive) {
            Ok(None) => {}
            Ok(Some(root)) => return Ok((machine.arena, root)),
            Err(problem) => return Err(format!("its data.pkl, at byte {at}: {problem}")),
        }
    }
}

struct Machine<'a> {
    rest: &'a [u8],
    arena: Arena<'a>,
    stack: Vec<Id>,
    /// Heights of the stack at its marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Number of tensors so far.
    tensors: usize,
}

impl<'a> Machine<'a> {
    /// Runs one opcode; returns the result of the pickle at its STOP.
    fn step(&mut self, archive: &Archive<'_>) -> Result<Option<Id>, String> {
        let opcode = self.take(1)?[0];
        match opcode {
            // PROTO, FRAME
            0x80 => {
                let version = self.take(1)?[0];
                if !(2..=5).contains(&version) {
                    return Err(format!("has the pickle protocol {version}, torch.save writes 2 to 5"));
                }
            }
            0x95 => {
                self.take(8)?;
            }
            // STOP
            b'.' => return self.pop().map(Some),
            // MARK, POP, POP_MARK
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.since_mark()?;
            }
            // NONE, NEWTRUE, NEWFALSE
            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Bool),
            // BININT, BININT1, BININT2
            b'J' => {
                let n = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(n.into()));
            }
            b'K' => {
                let n = self.take(1)?[0];
                self.push(Value::Int(n.into()));
            }
            b'M' => {
                let n = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(n.into()));
            }
            // LONG1
            0x8a => {
                let len = self.take(1)?[0];
                let bytes = self.take(len.into())?;
                self.push(long(bytes));
            }
            // BINFLOAT
            b'G' => {
                self.take(8)?;
                self.push(Value::Float);
            }
            // BINUNICODE, SHORT_BINUNICODE, BINUNICODE8
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            0x8d => self.text(8)?,
            // BINSTRING and SHORT_BINSTRING, the texts of Python 2
            b'T' => self.text(4)?,
            b'U' => self.text(1)?,
            // BINBYTES, SHORT_BINBYTES, BINBYTES8, BYTEARRAY8
            b'B' => self.skip(4)?,
            b'C' => self.skip(1)?,
            0x8e | 0x96 => self.skip(8)?,
            // EMPTY_LIST, EMPTY_TUPLE, EMPTY_SET, EMPTY_DICT
            b']' | b')' | 0x8f => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            // TUPLE, FROZENSET
            b't' | 0x91 => {
                let items = self.since_mark()?;
                self.push(Value::List(items));
            }
            // TUPLE1, TUPLE2, TUPLE3
            0x85..=0x87 => {
                let start = self.below(usize::from(opcode - 0x84))?;
                let items = self.stack.split_off(start);
                self.push(Value::List(items));
            }
            // APPEND, APPENDS, ADDITEMS
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                self.extend(items)?;
            }
            // SETITEM, SETITEMS
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(&[key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.insert(&items)?;
            }
            // BINGET, LONG_BINGET
            b'h' => {
                let key = self.take(1)?[0];
                self.recall(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(key)?;
            }
            // BINPUT, LONG_BINPUT, MEMOIZE
            b'q' => {
                let key = self.take(1)?[0];
                self.memorise(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.memorise(key)?;
            }
            // The memo has at most one entry for each byte, so its length fits.
            0x94 => self.memorise(self.memo.len() as u32)?,
            // GLOBAL, STACK_GLOBAL
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.import(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Some(module), Some(name)) = (self.arena.text(module), self.arena.text(name)) else {
                    return Err("imports a name that is no text".into());
                };
                self.import(module, name)?;
            }
            // REDUCE, NEWOBJ
            b'R' | 0x81 => {
                let (args, called) = (self.pop()?, self.pop()?);
                let Value::Name(name) = *self.arena.get(called) else {
                    return Err(format!("calls {}; {ONLY_TENSORS}", self.arena.get(called).kind()));
                };
                let made = call(name, args, &mut self.arena, &mut self.tensors)?;
                self.stack.push(made);
            }
            // BUILD sets attributes. PyTorch sets `_metadata` of a state dict, the versions of its
            // modules, which no weight depends on.
            b'b' => {
                let state = self.pop()?;
                let of = *self.stack.last().ok_or(TOO_FEW)?;
                if !matches!((self.arena.get(of), self.arena.get(state)), (Value::Dict(_), Value::Dict(_))) {
                    let (of, state) = (self.arena.get(of).kind(), self.arena.get(state).kind());
                    return Err(format!("builds {of} of {state}; {ONLY_TENSORS}"));
                }
            }
            // BINPERSID
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id, archive)?;
                self.push(Value::Storage(Box::new(storage)));
            }
            other => return Err(format!("has the opcode {}; {ONLY_TENSORS}", opcode_name(other))),
        }
        Ok(None)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or("is truncated; get the file again")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    /// Bytes with their length before them, in `size` bytes.
    fn counted(&mut self, size: usize) -> Result<&'a [u8], String> {
        let mut length = [0; 8];
        length[..size].copy_from_slice(self.take(size)?);
        self.take(usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX))
    }

    fn text(&mut self, size: usize) -> Result<(), String> {
        let bytes = self.counted(size)?;
        let text = std::str::from_utf8(bytes).map_err(|e| format!("has a text that is not UTF-8 ({e})"))?;
        self.push(Value::Text(text));
        Ok(())
    }

    fn skip(&mut self, size: usize) -> Result<(), String> {
        self.counted(size)?;
        self.push(Value::Bytes);
        Ok(())
    }

    /// The text to the end of the line.
    fn line(&mut self) -> Result<&'a str, String> {
        let end = self.rest.iter().position(|b| *b == b'\n').ok_or("is truncated; get the file again")?;
        let line = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|e| format!("imports a name that is not UTF-8 ({e})"))
    }

    fn push(&mut self, value: Value<'a>) {
        let id = self.arena.add(value);
        self.stack.push(id);
    }

    /// The height of the stack below its `n` topmost values, which all lie above the last mark.
    fn below(&self, n: usize) -> Result<usize, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let height = self.stack.len().checked_sub(n).filter(|h| *h >= floor);
        height.ok_or_else(|| TOO_FEW.to_owned())
    }

    fn pop(&mut self) -> Result<Id, String> {
        self.below(1)?;
        self.stack.pop().ok_or_else(|| TOO_FEW.to_owned())
    }

    /// Removes the last mark and returns the values above it.
    fn since_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("has no mark where one belongs; get the file again")?;
        Ok(self.stack.split_off(mark))
    }

    /// Appends items to the list on top of the stack.
    fn extend(&mut self, items: Vec<Id>) -> Result<(), String> {
        let list = *self.stack.last().ok_or(TOO_FEW)?;
        match self.arena.get_mut(list) {
            Value::List(all) => all.extend(items),
            other => return Err(format!("appends to {}; {ONLY_TENSORS}", other.kind())),
        }
        Ok(())
    }

    /// Inserts keys and values, by turns, into the dictionary on top of the stack.
    fn insert(&mut self, items: &[Id]) -> Result<(), String> {
        let dict = *self.stack.last().ok_or(TOO_FEW)?;
        let (pairs, odd) = items.as_chunks::<2>();
        if !odd.is_empty() {
            return Err("sets a key without a value; get the file again".into());
        }
        match self.arena.get_mut(dict) {
            Value::Dict(all) => all.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            other => return Err(format!("sets an item of {}; {ONLY_TENSORS}", other.kind())),
        }
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), String> {
        let id = self.memo.get(&key).ok_or_else(|| format!("refers to value {key}, which it did not store"))?;
        self.stack.push(*id);
        Ok(())
    }

    fn memorise(&mut self, key: u32) -> Result<(), String> {
        let top = *self.stack.last().ok_or(TOO_FEW)?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn import(&mut self, module: &str, name: &str) -> Result<(), String> {
        let value = value_of(module, name).ok_or_else(|| {
            let more = remedy(module, name);
            let (module, name) = (module.escape_debug(), name.escape_debug());
            format!("imports {module}.{name}; {ONLY_TENSORS}{more}")
        })?;
        self.push(value);
        Ok(())
    }

    /// The storage of `('storage', type, key, location, numbers)`. The location is the device it was
    /// saved on, which makes no difference to its bytes.
    fn storage(&self, id: Id, archive: &Archive<'_>) -> Result<super::super::tensor::Storage, String> {
        let parts = self.arena.list(id).unwrap_or_default();
        let [tag, kind, key, _location, len] = *parts else {
            return Err("refers to something other than a storage; get the file again".into());
        };
        let (Some("storage"), Some(key), Some(len)) =
            (self.arena.text(tag), self.arena.text(key), self.arena.count(len))
        else {
            return Err("refers to something other than a storage; get the file again".into());
        };
        let Value::Name(Name::Storage(number)) = *self.arena.get(kind) else {
            return Err(format!("storage `{key}` has {} for a type", self.arena.get(kind).kind()));
        };
        archive.storage(key, number, len)
    }
}

const TOO_FEW: &str = "takes more values than it has made; get the file again";

const ONLY_TENSORS: &str = "only tensors, numbers, texts and containers of them are read; save the tensors alone: \
                            torch.save(net.state_dict(), 'new.pt')";

/// An integer of any length, little endian in two's complement.
fn long(bytes: &[u8]) -> Value<'static> {
    if bytes.len() > 8 {
        return Value::Other;
    }
    let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
    let mut word = if negative { [0xff; 8] } else { [0; 8] };
    word[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(word))
}

/// The name of an opcode outside the list in Python's `pickletools`.
fn opcode_name(opcode: u8) -> String {
    let name = match opcode {
        b'2' => "DUP",
        b'F' => "FLOAT",
        b'I' => "INT",
        b'L' => "LONG",
        b'P' => "PERSID",
        b'S' => "STRING",
        b'V' => "UNICODE",
        b'd' => "DICT",
        b'g' => "GET",
        b'i' => "INST",
        b'l' => "LIST",
        b'o' => "OBJ",
        b'p' => "PUT",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x8b => "LONG4",
        0x92 => "NEWOBJ_EX",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        _ => return format!("{opcode:#04x}, which no pickle has"),
    };
    name.to_owned()
}
