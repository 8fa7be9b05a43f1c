//! The `reasonscope` program.
#[global_allocator]
static ALLOCATOR: reasonscope::util::memory::Metered<mimalloc::MiMalloc> = reasonscope::util::memory::Metered(mimalloc::MiMalloc);

fn main() -> std::process::ExitCode {
    // candle's own pool spins beside the threads that divide the work here, and reads its size when it is first used.
    if std::env::var_os("CANDLE_NUM_THREADS").is_none() {
        // SAFETY: no other thread runs yet, so nobody reads the environment.
        unsafe { std::env::set_var("CANDLE_NUM_THREADS", "1") };
    }
    reasonscope::cli::main().into()
}
