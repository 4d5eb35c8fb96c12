//! A thread that starts processes and lasts as long as they do.
//!
//! bubblewrap's `--die-with-parent` follows the thread that started it: one of an asynchronous
//! runtime's may end at any time, and would take a jail with it. And what a thread starts is in the
//! control groups that the thread is in: it enters them once, where each process by itself would
//! have to wait for the kernel every time.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Request {
    command: Command,
    runtime: Handle,
    answer: oneshot::Sender<io::Result<Child>>,
}

/// Starts processes from a thread of its own.
pub(super) struct Spawner {
    running: Mutex<Option<(mpsc::Sender<Request>, JoinHandle<()>)>>,
}

impl Spawner {
    /// A thread that has entered the control groups behind `doors`, their `tasks` files.
    pub(super) fn start(doors: Vec<PathBuf>) -> io::Result<Self> {
        let (requests, inbox) = mpsc::channel();
        let (entered, ready) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("smelt-spawner".into()).spawn(move || {
            // To write 0 is to enter by oneself (cgroups(7)).
            let enter = doors.iter().try_for_each(|door| std::fs::write(door, "0"));
            let failed = enter.is_err();
            let _ = entered.send(enter);
            if !failed {
                serve(&inbox);
            }
        })?;
        ready.recv().map_err(io::Error::other)??;
        Ok(Self { running: Mutex::new(Some((requests, thread))) })
    }

    /// Starts `command`, which is killed when its handle is dropped.
    pub(super) async fn spawn(&self, mut command: Command) -> io::Result<Child> {
        command.kill_on_drop(true);
        let (answer, answered) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts processes is gone");
        let request = Request { command, runtime: Handle::current(), answer };
        let requests = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.as_ref().map(|(requests, _)| requests.clone()).ok_or_else(gone)?
        };
        requests.send(request).map_err(|_| gone())?;
        drop(requests);
        answered.await.map_err(|_| gone())?
    }

    /// Ends the thread, and with it every jail that it has started.
    pub(super) fn end(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((requests, thread)) = running {
            drop(requests);
            // A thread that panicked has ended too.
            let _ = thread.join();
        }
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.end();
    }
}

fn serve(inbox: &mpsc::Receiver<Request>) {
    for mut request in inbox {
        let _context = request.runtime.enter();
        let child = request.command.spawn();
        // Whoever is gone does not want the process: dropping it kills it.
        let _ = request.answer.send(child);
    }
}
