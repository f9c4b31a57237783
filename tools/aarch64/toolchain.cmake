# Cross-compiles for aarch64 and runs the native tests under emulation; EDGESNN_AARCH64 is the folder that prepare.sh made.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
# Which processor is the environment's business (QEMU_CPU): one build is tested on all.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)
