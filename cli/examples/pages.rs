//! Man pages and shell completions of `tillctl`, written into a folder: `packaging/build` runs this on the machine that
//! builds, whatever machine the package is for.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::Shell;

fn main() -> io::Result<()> {
    let Some(to) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: pages FOLDER"));
    };
    let man = to.join("man");
    fs::create_dir_all(&man)?;
    clap_mangen::generate_to(tillctl::args::Cli::command(), &man)?;
    for (shell, folder) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
        let folder = to.join("completions").join(folder);
        fs::create_dir_all(&folder)?;
        clap_complete::generate_to(shell, &mut tillctl::args::Cli::command(), "tillctl", &folder)?;
    }
    // Where bash looks for it.
    let bash = to.join("completions/bash");
    fs::rename(bash.join("tillctl.bash"), bash.join("tillctl"))
}
