//! The process that drives the browser: WebDriver (W3C, level 2) over loopback.
//!
//! INVARIANT: it ends with this value, and with it every browser that it started. It listens on a port
//! that the operating system chose.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

/// What Debian calls it.
const PROGRAM: &str = "chromedriver";
/// What its line with the port begins with, up to the number.
const STARTED: &str = "was started successfully on port ";
/// How long it may take to end its browsers.
const END_WAIT_MAX: Duration = Duration::from_secs(10);

/// A running driver.
pub(crate) struct Driver {
    child: Child,
    /// Where it listens.
    pub(crate) url: String,
}

impl Driver {
    /// Starts one.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut command = Command::new(PROGRAM);
        command.arg("--port=0").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let child = command.spawn();
        let mut child = child.with_context(|| {
            format!("failed to start `{PROGRAM}`; on Debian: apt-get install chromium-driver")
        })?;
        let output = child.stdout.take();
        let mut driver = Self {
            child,
            url: String::new(),
        };
        let lines = BufReader::new(output.context("the driver has no output")?).lines();
        for line in lines {
            let line = line.context("failed to read what the driver says")?;
            if let Some((_, port)) = line.split_once(STARTED) {
                driver.url = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
                return Ok(driver);
            }
        }
        bail!("`{PROGRAM}` ended before it listened; start it by hand to see why")
    }
}

impl Driver {
    /// Has it end every browser: one that is killed leaves them running.
    fn end_browsers(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(self.url.trim_start_matches("http://"))?;
        stream.set_read_timeout(Some(END_WAIT_MAX))?;
        stream
            .write_all(b"GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new())?;
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Nothing to do about a failure: the process is then already gone.
        let _ = self.end_browsers();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
