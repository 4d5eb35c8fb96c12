//! What Smelt's tests share: repositories, and who runs what in which environment.
//!
//! Nothing of the machine's own configuration reaches what they run. Two variables say how they
//! run: `SMELT_TEST_PATH` (another git first) and `SMELT_TEST_USER` (as an ordinary user).

mod account;
mod home;
mod repo;

pub use account::Account;
pub use home::Home;
pub use repo::TestRepo;
