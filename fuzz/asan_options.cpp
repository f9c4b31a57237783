// What AddressSanitizer is told where the environment says nothing: no stack of each allocation (run a finding again
// with ASAN_OPTIONS=malloc_context_size=30), and little memory held back after free, so that it stays in the caches.
extern "C" const char* __asan_default_options() {
    return "malloc_context_size=0:quarantine_size_mb=8:thread_local_quarantine_size_kb=64";
}
