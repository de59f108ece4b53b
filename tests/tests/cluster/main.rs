//! Several nodes as one server: the seam between them, and servers over a real Redis.

mod agreement;
mod contract;
mod contract_leases;
mod contract_webhooks;
mod events;
mod failovers;
mod garbage;
mod garbage_keys;
mod kinds;
mod lives;
mod nodes;
mod plain;
mod presence;
mod queries;
mod quota;
mod servers;
mod shards;
mod users;
mod webhooks;
