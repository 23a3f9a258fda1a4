//! What every target has: a limit of memory, and a hook that lets the reader contain a panic of a
//! decoder, where libFuzzer's own would end the process. A panic that nobody contains does.

pub use {cap, libfuzzer_sys};

/// Makes a target of a function that takes bytes. What has more than so many MiB allocated at
/// once is a crash.
#[macro_export]
macro_rules! target {
    ($read:path, $mebibytes:literal) => {
        #[global_allocator]
        static MEMORY: $crate::cap::Cap<std::alloc::System> =
            $crate::cap::Cap::new(std::alloc::System, $mebibytes << 20);

        $crate::libfuzzer_sys::fuzz_target!(
            init: std::panic::set_hook(Box::new(|_| {})),
            |data: &[u8]| {
                $read(data);
            }
        );
    };
}
