//! TOML documents that people write: read whole, every problem reported at once, each in its place.
//!
//! The Rust types of a document are its only definition. Their JSON Schema tells which keys and
//! words are known; serde reads the values. What can't be read is reported and left out, so that
//! one mistake does not hide the next.

mod file;
mod known;
mod load;
mod located;
mod problem;
mod schema;
mod secrecy;

pub use file::{TextError, read_text};
pub use load::{Loaded, load};
pub use located::Located;
pub use problem::{Position, Problem, Problems, Severity};
pub use schema::schema_of;
pub use secrecy::SecretSections;
