//! `smelt schema`.

use crate::args::{Schema, SchemaOf};
use crate::error::Result;
use crate::exit::Exit;
use crate::report::print;

pub fn schema(args: &Schema) -> Result {
    print::json(&match args.of {
        SchemaOf::Manifest => smelt_core::manifest::schema(),
        SchemaOf::Server => smelt_server::config::schema(),
        SchemaOf::Events => smelt_core::event::schema(),
    })?;
    Ok(Exit::Success)
}
