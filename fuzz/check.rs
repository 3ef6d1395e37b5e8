//! Passes the inputs of libFuzzer to the check of the target that the variable TARGET names.
//! Does not know the targets: they stand beside their decoders, in `src/**/fuzz.rs`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<String> =
    LazyLock::new(|| std::env::var("TARGET").expect("TARGET names a target, such as action"));

fuzz_target!(|input: &[u8]| polychat::fuzz::check(&TARGET, input));
