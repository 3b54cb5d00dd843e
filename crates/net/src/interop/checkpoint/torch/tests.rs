//! Tests of the reader with pickles and archives made by hand.

use super::super::{Checkpoint, Number, from_bytes};
use super::to_bytes;
use crate::weights::Array;
use std::io::{Cursor, Write};
use std::path::Path;
use tickless_testing::zip64::with_zip64_records;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn read(bytes: Vec<u8>) -> Result<Checkpoint, String> {
    from_bytes(bytes, Path::new("net.pt"), None).map_err(|e| {
        let message = e.to_string();
        assert!(message.starts_with("net.pt: ") && !message.contains('\n'), "{message}");
        message
    })
}

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in members {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// An archive with this pickle, one storage of 16 bytes and no byte order, as before PyTorch 2.1.
fn with_pickle(pickle: &[u8]) -> Vec<u8> {
    archive(&[("x/data.pkl", pickle), ("x/data/0", &[0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64, 0, 0, 128, 64])])
}

/// The archive with members that its headers call compressed.
fn compressed(mut bytes: Vec<u8>) -> Vec<u8> {
    for at in 0..bytes.len() - 4 {
        match bytes[at..at + 4] {
            [b'P', b'K', 3, 4] => bytes[at + 8] = 8,
            [b'P', b'K', 1, 2] => bytes[at + 10] = 8,
            _ => {}
        }
    }
    bytes
}

/// The opcodes of `('storage', FloatStorage, '0', 'cuda:0', len)` and BINPERSID.
fn storage(len: u8) -> Vec<u8> {
    let mut out = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0".to_vec();
    out.extend(b"0X\x06\0\0\0cuda:0K");
    out.push(len);
    out.extend(b"tQ");
    out
}

/// The opcodes of a float tensor of storage 0 with this shape and these strides.
fn tensor(shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let mut out = b"ctorch._utils\n_rebuild_tensor_v2\n(".to_vec();
    out.extend(storage(4));
    out.extend(b"K\0(");
    shape.iter().for_each(|n| out.extend([b'K', *n]));
    out.extend(b"t(");
    strides.iter().for_each(|n| out.extend([b'K', *n]));
    out.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
    out
}

/// A state dict with the tensor `w`.
fn state_dict(tensor: &[u8]) -> Vec<u8> {
    [&b"\x80\x02}(X\x01\0\0\0w"[..], tensor, b"u."].concat()
}

#[test]
fn what_is_written_is_read_with_the_same_bits_in_the_same_order() {
    let arrays = [
        Array::new(vec![2, 3], vec![1.0, -0.0, f32::MIN_POSITIVE, 3.5, f32::MAX, 1e-40]),
        Array::new(vec![], vec![7.0]),
        Array::new(vec![0, 4], vec![]),
        Array::new(vec![1, 2, 1, 1], vec![0.1, 0.2]),
    ];
    let names = ["z.weight", "a", "empty", "ünï.weight"];
    let named: Vec<(String, &Array)> = names.iter().map(|n| (*n).to_owned()).zip(&arrays).collect();
    let bytes = to_bytes(&named).unwrap();
    assert_eq!(bytes, to_bytes(&named).unwrap(), "two writes are equal");
    let read = read(bytes).unwrap();
    assert!(read.is_ordered() && read.within().is_none());
    let found: Vec<&str> = read.tensors().iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(found, names);
    for ((_, tensor), array) in read.tensors().iter().zip(&arrays) {
        let back = read.array(tensor).unwrap();
        assert_eq!(back.shape, array.shape);
        let bits = |a: &Array| a.data.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(array));
    }
}

#[test]
fn a_tensor_saved_on_a_gpu_is_read_with_its_strides() {
    let read = read(with_pickle(&state_dict(&tensor(&[2, 2], &[1, 2])))).unwrap();
    assert_eq!(read.array(read.get("w").unwrap()).unwrap(), Array::new(vec![2, 2], vec![1.0, 3.0, 2.0, 4.0]));
}

#[test]
fn attributes_of_a_state_dict_are_accepted_and_ignored() {
    let mut pickle = b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\0\0\0w".to_vec();
    pickle.extend(tensor(&[4], &[1]));
    pickle.extend(b"u}X\x09\0\0\0_metadata}X\0\0\0\0}X\x07\0\0\0versionK\x01sssb.");
    assert_eq!(read(with_pickle(&pickle)).unwrap().tensors().len(), 1);
}

#[test]
fn every_protocol_from_2_to_5_is_read() {
    // Protocol 4: frame, short texts, memoised values, names from the stack, a frozen set.
    let mut pickle =
        b"\x80\x04\x95\0\0\0\0\0\0\0\0\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94".to_vec();
    pickle.extend(b"(\x8c\x01w\x94");
    pickle.extend(tensor(&[4], &[1]));
    pickle.extend(b"\x8c\x01s(K\x01K\x02\x91\x8c\x01b\x96\x02\0\0\0\0\0\0\0abu.");
    assert_eq!(read(with_pickle(&pickle)).unwrap().tensors().len(), 1);
    for (protocol, known) in [(1, false), (2, true), (3, true), (5, true), (6, false)] {
        let mut pickle = state_dict(&tensor(&[4], &[1]));
        pickle[1] = protocol;
        match read(with_pickle(&pickle)) {
            Ok(_) => assert!(known),
            Err(e) => assert!(!known && e.contains(&format!("protocol {protocol}")), "{e}"),
        }
    }
}

#[test]
fn a_name_outside_the_list_is_refused_with_this_name() {
    let imports: [(&[u8], &str); 9] = [
        (b"cos\nsystem\n(X\x04\0\0\0truetR.", "os.system"),
        (b"cposix\nsystem\n.", "posix.system"),
        (b"c__builtin__\neval\n.", "__builtin__.eval"),
        (b"cbuiltins\ngetattr\n.", "builtins.getattr"),
        (b"\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"ctorch.nn.modules.linear\nLinear\n)\x81.", "torch.nn.modules.linear.Linear"),
        (b"cargparse\nNamespace\n)\x81}b.", "argparse.Namespace"),
        (b"ctorch._utils\n_rebuild_sparse_tensor\n.", "torch._utils._rebuild_sparse_tensor"),
        (b"ctorch\nQInt8Storage\n.", "torch.QInt8Storage"),
    ];
    for (opcodes, name) in imports {
        let e = read(with_pickle(&[b"\x80\x02", opcodes].concat())).unwrap_err();
        assert!(e.contains(&format!("imports {name};")) && e.contains("torch.save(net.state_dict()"), "{e}");
    }
}

#[test]
fn an_opcode_outside_the_list_is_refused_with_its_name() {
    let opcodes: [(u8, &str); 20] = [
        (b'2', "DUP"),
        (b'F', "FLOAT"),
        (b'I', "INT"),
        (b'L', "LONG"),
        (b'P', "PERSID"),
        (b'S', "STRING"),
        (b'V', "UNICODE"),
        (b'd', "DICT"),
        (b'g', "GET"),
        (b'i', "INST"),
        (b'l', "LIST"),
        (b'o', "OBJ"),
        (b'p', "PUT"),
        (0x82, "EXT1"),
        (0x83, "EXT2"),
        (0x84, "EXT4"),
        (0x8b, "LONG4"),
        (0x92, "NEWOBJ_EX"),
        (0x97, "NEXT_BUFFER"),
        (0xff, "0xff"),
    ];
    for (opcode, name) in opcodes {
        let e = read(with_pickle(&[0x80, 2, b'(', opcode, b'.'])).unwrap_err();
        assert!(e.contains("data.pkl, ") && e.contains(" byte 3") && e.contains(&format!("opcode {name}")), "{e}");
    }
}

#[test]
fn calls_and_attributes_of_other_values_are_refused() {
    let cases: [(&[u8], &str); 14] = [
        (b"X\x02\0\0\0os)R.", "calls a text"),
        (b"})R.", "calls a dict"),
        (b"ctorch\nFloatStorage\n)R.", "calls the type of a storage"),
        (b"ccollections\nOrderedDict\n]K\x01aR.", "OrderedDict with arguments"),
        (b"ccollections\nOrderedDict\nK\x01R.", "for arguments"),
        (b"ccollections\nOrderedDict\n}b.", "builds an imported name of a dict"),
        (b"}K\x01b.", "builds a dict of an int"),
        (b"]}b.", "builds a list of a dict"),
        (b"}K\x01a.", "appends to a dict"),
        (b"]K\x01K\x02s.", "sets an item of a list"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R.", "too few arguments"),
        (b"ctorch._utils\n_rebuild_parameter\n(K\x01tR.", "without a tensor"),
        (b"K\x01Q.", "refers to something other than a storage"),
        (b"ctorch\nSize\n(K\x01tR.", "makes a set or torch.Size"),
    ];
    for (opcodes, expected) in cases {
        let e = read(with_pickle(&[b"\x80\x02", opcodes].concat())).unwrap_err();
        assert!(e.contains(expected), "{expected}: {e}");
    }
}

#[test]
fn a_damaged_pickle_is_refused_with_its_place() {
    let cases: [(&[u8], &str); 9] = [
        (b"\x80\x02", "at byte 2: is truncated"),
        (b"\x80\x02X\xff\xff\xff\xff", "at byte 2: is truncated"),
        (b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xff", "is truncated"),
        (b"\x80\x02.", "takes more values"),
        (b"\x80\x02t.", "no mark"),
        (b"\x80\x02K\x01(0.", "takes more values"),
        (b"\x80\x02h\x05.", "refers to value 5"),
        (b"\x80\x02}(K\x01u.", "a key without a value"),
        (b"\x80\x02X\x01\0\0\0\xff.", "not UTF-8"),
    ];
    for (pickle, expected) in cases {
        let e = read(with_pickle(pickle)).unwrap_err();
        assert!(e.contains(expected), "{expected}: {e}");
    }
}

#[test]
fn sizes_are_checked_before_memory_is_taken() {
    // A storage of 2^60 numbers, and a tensor that reaches outside its storage.
    let mut huge =
        b"\x80\x02}(X\x01\0\0\0w(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu\x8a\x08".to_vec();
    huge.extend((1u64 << 60).to_le_bytes());
    huge.extend(b"tQu.");
    let e = read(with_pickle(&huge)).unwrap_err();
    assert!(e.contains("member `x/data/0` has 16 bytes"), "{e}");
    let e = read(with_pickle(&state_dict(&tensor(&[5], &[1])))).unwrap_err();
    assert!(e.contains("outside"), "{e}");
    let e = read(with_pickle(&state_dict(&tensor(&[1; 9], &[1; 9])))).unwrap_err();
    assert!(e.contains("9 sides"), "{e}");
    // 255^8 views of one number: the file is read, and no value is copied until it is asked for.
    let read = read(with_pickle(&state_dict(&tensor(&[255; 7], &[0; 7])))).unwrap();
    assert!(read.array(read.get("w").unwrap()).unwrap_err().contains("most"));
}

#[test]
fn containers_within_themselves_are_read_without_recursion() {
    // A dict that holds itself, and a list nested 100,000 deep.
    let mut pickle = b"\x80\x02}q\0(X\x04\0\0\0selfh\0X\x01\0\0\0w".to_vec();
    pickle.extend(tensor(&[4], &[1]));
    pickle.extend(b"X\x01\0\0\0d");
    pickle.extend(vec![b']'; 100_000]);
    pickle.extend(vec![b'a'; 99_999]);
    pickle.extend(b"u.");
    assert_eq!(read(with_pickle(&pickle)).unwrap().tensors().len(), 1);
}

#[test]
fn a_file_is_read_whatever_the_length_of_its_name() {
    let pickle = state_dict(&tensor(&[4], &[1]));
    for length in 1..80 {
        let root = "n".repeat(length);
        let members: [(&str, &[u8]); 2] =
            [(&format!("{root}/data.pkl"), &pickle), (&format!("{root}/data/0"), &[0; 16])];
        let bytes = archive(&members);
        for bytes in [with_zip64_records(&bytes), bytes] {
            let read = read(bytes).unwrap_or_else(|e| panic!("a name of {length} letters: {e}"));
            assert_eq!(read.tensors().len(), 1);
        }
    }
}

#[test]
fn older_and_other_files_are_named_with_the_remedy() {
    let legacy = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.".to_vec();
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    let pickle = b"\x80\x04\x95\x05\0\0\0\0\0\0\0}\x94.".to_vec();
    let script = archive(&[("x/data.pkl", b"\x80\x02}."), ("x/constants.pkl", b"\x80\x02)."), ("x/code/m.py", b"")]);
    let compressed_script = compressed(script.clone());
    let other = archive(&[("word/document.xml", b"<x/>")]);
    let cases = [
        (legacy, "PyTorch's format before version 1.6; convert it there: torch.save(torch.load("),
        (tar, "PyTorch's format before version 1.6"),
        (pickle, "is a bare pickle"),
        (script, "is a TorchScript archive (it has `x/constants.pkl`)"),
        (compressed_script, "is a TorchScript archive (it has `x/constants.pkl`)"),
        (compressed(with_pickle(b"\x80\x02}.")), "member `x/data.pkl` is compressed or encrypted"),
        (other, "is a zip archive without `data.pkl`"),
        (b"hello, this is a text".to_vec(), "is neither a PyTorch file (a zip archive) nor a safetensors file"),
        (Vec::new(), "is neither"),
    ];
    for (bytes, expected) in cases {
        let e = read(bytes).unwrap_err();
        assert!(e.contains(expected), "{expected}: {e}");
    }
}

#[test]
fn a_damaged_archive_is_refused() {
    let whole = with_pickle(&state_dict(&tensor(&[4], &[1])));
    for len in 0..whole.len() {
        assert!(read(whole[..len].to_vec()).is_err(), "the first {len} bytes");
    }
    // A changed byte of a storage does not match the checksum of its member.
    let at = whole.windows(4).position(|w| w == [0, 0, 128, 64]).unwrap();
    let mut changed = whole.clone();
    changed[at + 2] ^= 1;
    let e = read(changed).unwrap_err();
    assert!(e.contains("`x/data/0`") && e.contains("checksum"), "{e}");
    let e = read(archive(&[("x/data.pkl", &state_dict(&tensor(&[4], &[1])))])).unwrap_err();
    assert!(e.contains("`x/data/0`") && e.contains("missing"), "{e}");
    let e = read(archive(&[("x/data.pkl", b"\x80\x02}."), ("x/byteorder", b"middle")])).unwrap_err();
    assert!(e.contains("little"), "{e}");
    // No change makes the reader panic, whether the checksums are those of the change or not.
    let pickle = state_dict(&tensor(&[4], &[1]));
    for at in 0..pickle.len() {
        for change in [1, 2, 4, 0x20, 0x80, 0xff] {
            let mut changed = pickle.clone();
            changed[at] ^= change;
            let _ = read(with_pickle(&changed));
        }
        let _ = read(with_pickle(&[&pickle[..at], &pickle[at + 1..]].concat()));
    }
    for bit in 0..8 * whole.len() {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = read(flipped);
    }
}

#[test]
fn the_byte_order_of_the_file_counts() {
    let pickle = state_dict(&tensor(&[4], &[1]));
    let numbers: Vec<u8> = [1f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_be_bytes()).collect();
    let read = read(archive(&[("x/data.pkl", &pickle), ("x/byteorder", b"big"), ("x/data/0", &numbers)])).unwrap();
    assert_eq!(read.array(read.get("w").unwrap()).unwrap().data, [1.0, 2.0, 3.0, 4.0]);
}

/// The opcodes of a dict with these keys and values.
fn dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = b"}(".to_vec();
    for (key, value) in items {
        out.extend(b"X");
        out.extend((key.len() as u32).to_le_bytes());
        out.extend(key.as_bytes());
        out.extend(value);
    }
    out.push(b'u');
    out
}

/// Where the state dict of a file is whose opcodes these are.
fn within(opcodes: &[u8]) -> Result<Option<String>, String> {
    read(with_pickle(&[b"\x80\x02", opcodes, b"."].concat())).map(|c| c.within().map(str::to_owned))
}

#[test]
fn tensors_beside_the_state_dict_do_not_hide_it() {
    let t = || tensor(&[4], &[1]);
    let net = || dict(&[("conv1.weight", t()), ("conv1.bias", t())]);
    let of_optimiser = || {
        let moments = dict(&[("step", t()), ("exp_avg", t()), ("exp_avg_sq", t())]);
        [b"}X\x05\0\0\0state}K\0".to_vec(), moments, b"ss".to_vec()].concat()
    };
    // PyTorch's example for ImageNet stores the best accuracy as a tensor.
    let imagenet =
        dict(&[("epoch", b"K\x05".to_vec()), ("state_dict", net()), ("best_acc1", t()), ("optimizer", of_optimiser())]);
    assert_eq!(within(&imagenet), Ok(Some("state_dict".into())));
    for place in ["model_state", "snn"] {
        let file = dict(&[("optimizer_state", of_optimiser()), (place, net()), ("best_acc", t())]);
        assert_eq!(within(&file), Ok(Some(place.into())));
    }
    // The weights of classes in the loss beside a network.
    assert_eq!(within(&dict(&[("weight", t()), ("model", net())])), Ok(Some("model".into())));
    // A state dict with an entry that is no tensor, and with modules named as places are.
    let extra = dict(&[("a.weight", t()), ("b.weight", t()), ("_extra_state", dict(&[("weight", t())]))]);
    assert_eq!(within(&extra), Ok(None));
    assert_eq!(within(&dict(&[("net.weight", t()), ("net", dict(&[("weight", t())]))])), Ok(None));
    // Two networks remain two.
    let two = within(&dict(&[("ema", net()), ("snn", net()), ("optimizer", of_optimiser())])).unwrap_err();
    assert!(two.contains(" 2 ") && two.contains(": `ema`, `snn`"), "{two}");
}

/// A tensor of storage 0 that `rebuild` makes, with these opcodes of arguments after its hooks.
fn rebuilt(rebuild: &str, storage: &str, len: u8, rest: &[u8]) -> Vec<u8> {
    let mut out =
        format!("ctorch._utils\n{rebuild}\n((X\x07\0\0\0storagec{storage}\nX\x01\0\0\00X\x03\0\0\0cpuK").into_bytes();
    out.push(len);
    out.extend(b"tQK\0(K\x02t(K\x01t\x89ccollections\nOrderedDict\n)R");
    out.extend(rest);
    out.extend(b"tR");
    out
}

#[test]
fn a_view_that_negates_or_conjugates_is_refused() {
    for (name, mark) in [("_rebuild_tensor_v2", "neg"), ("_rebuild_tensor_v2", "conj"), ("_rebuild_tensor_v3", "neg")] {
        let metadata = dict(&[(mark, vec![0x88])]);
        let (storage, rest) = match name {
            "_rebuild_tensor_v3" => ("torch.storage\nUntypedStorage", [&b"ctorch\nuint16\n"[..], &metadata].concat()),
            _ => ("torch\nFloatStorage", metadata),
        };
        let e = read(with_pickle(&state_dict(&rebuilt(name, storage, 4, &rest)))).unwrap_err();
        assert!(e.contains(&format!("`{mark}`")) && e.contains("resolve_neg"), "{e}");
    }
    assert!(read(with_pickle(&state_dict(&rebuilt("_rebuild_tensor_v2", "torch\nFloatStorage", 4, b"}")))).is_ok());
}

#[test]
fn a_storage_of_bytes_has_the_type_that_its_tensor_states() {
    let of = |dtype: &str, len: u8| {
        let dtype = format!("ctorch\n{dtype}\n");
        let pickle = state_dict(&rebuilt("_rebuild_tensor_v3", "torch.storage\nUntypedStorage", len, dtype.as_bytes()));
        read(archive(&[("x/data.pkl", &pickle), ("x/data/0", &[1, 2, 0, 255])]))
    };
    let made = of("uint16", 4).unwrap();
    assert_eq!(made.array(made.get("w").unwrap()).unwrap().data, [513.0, 65280.0]);
    assert!(of("uint32", 4).unwrap_err().contains("outside"));
    let e = of("float8_e4m3fn", 4).unwrap_err();
    assert!(e.contains("torch.float8_e4m3fn") && e.contains("v.float()"), "{e}");
    let e = read(with_pickle(&state_dict(&rebuilt("_rebuild_tensor_v3", "torch\nFloatStorage", 4, b"")))).unwrap_err();
    assert!(e.contains("arguments"), "{e}");
}

#[test]
fn complex_numbers_are_read_beside_weights_but_are_none() {
    let pickle = state_dict(&rebuilt("_rebuild_tensor_v2", "torch\nComplexFloatStorage", 2, b""));
    let read = read(with_pickle(&pickle)).unwrap();
    let tensor = read.get("w").unwrap();
    assert_eq!((tensor.number(), tensor.shape()), (Number::Complex64, &[2][..]));
    assert!(read.array(tensor).unwrap_err().contains("complex64"));
}

/// A pickle of nested dicts: for each text, the keys to one state dict.
fn nested(paths: &[&[&str]]) -> Vec<u8> {
    let text = |s: &str| [&b"X"[..], &(s.len() as u32).to_le_bytes(), s.as_bytes()].concat();
    let mut pickle = b"\x80\x02}(".to_vec();
    for path in paths {
        for (i, key) in path.iter().enumerate() {
            match key.parse::<u8>() {
                Ok(n) => pickle.extend([b'K', n]),
                Err(_) => pickle.extend(text(key)),
            }
            pickle.extend(b"}(");
            if i + 1 == path.len() {
                pickle.extend(text("w"));
                pickle.extend(tensor(&[4], &[1]));
            }
        }
        path.iter().for_each(|_| pickle.push(b'u'));
    }
    pickle.extend(b"u.");
    with_pickle(&pickle)
}

#[test]
fn the_state_dict_is_found_where_programs_store_it() {
    let within = |paths: &[&[&str]]| read(nested(paths)).map(|c| c.within().map(str::to_owned));
    assert_eq!(within(&[&["best_model_state_dict"]]), Ok(Some("best_model_state_dict".into())));
    let optimiser: &[&str] = &["optimizer", "state", "0"];
    assert_eq!(within(&[optimiser, &["model"]]), Ok(Some("model".into())));
    assert_eq!(within(&[&["ema", "net"]]), Ok(Some("ema.net".into())));
    assert_eq!(
        within(&[&["state_dict_pool", "3"], &["best_model_state_dict"]]),
        Ok(Some("best_model_state_dict".into()))
    );
    let e = within(&[&["teacher"], &["student"]]).unwrap_err();
    assert!(e.contains(" 2 ") && e.contains(": `teacher`, `student`"), "{e}");
    let e = read(with_pickle(b"\x80\x02}.")).unwrap_err();
    assert!(e.contains("tensors"), "{e}");
}

#[test]
fn an_entry_chooses_the_state_dict() {
    let file = Path::new("net.pt");
    let bytes = nested(&[&["state_dict_pool", "3"], &["state_dict_pool", "7"]]);
    let e = from_bytes(bytes.clone(), file, None).unwrap_err().to_string();
    assert!(e.contains(": `state_dict_pool[3]`, `state_dict_pool[7]`"), "{e}");
    let read = from_bytes(bytes.clone(), file, Some("state_dict_pool[7]")).unwrap();
    assert_eq!(read.within(), Some("state_dict_pool[7]"));
    let e = from_bytes(bytes, file, Some("state_dict_pool[8]")).unwrap_err().to_string();
    assert!(e.contains("`state_dict_pool[8]`"), "{e}");
}
