//! The whole attendance system under faults: real processes, a real nginx, MariaDB and Redis, and Echo itself.

mod chaos;
mod faults;
mod figures;
mod people;
mod session;
mod verdict;
mod watchers;
