//! jemalloc as the allocator, set for a server of many idle connections.
//!
//! Measured with 18,000 idle WebSocket connections: with the defaults freed pages linger and every core has four
//! arenas; two arenas that give pages back at once hold a connection at about 4 KB. mimalloc and glibc held more.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// jemalloc looks for a C string behind this symbol before its first allocation; `_RJEM_MALLOC_CONF` in the
/// environment overrides it.
#[expect(
    unsafe_code,
    reason = "the symbol's name is how jemalloc finds its configuration; nothing else has it"
)]
#[unsafe(export_name = "_rjem_malloc_conf")]
static CONFIGURATION: &[u8; 44] = b"narenas:2,dirty_decay_ms:0,muzzy_decay_ms:0\0";
