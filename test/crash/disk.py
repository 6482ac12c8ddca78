"""Disks in files: loop devices with ext4, plain or over the recorder."""
import contextlib
import os
import pathlib
import shutil
import subprocess

import server

RECORDER = server.POSTHORN.parent.parent / "test/crash/recorder"


def why_not():
    """Why there can be no such disks here, or None."""
    if os.geteuid() != 0:
        return "needs root, for loop devices"
    if not RECORDER.exists():
        return "needs libfuse3, for the recorder"
    for device in ("/dev/fuse", "/dev/loop-control"):
        if not os.access(device, os.R_OK | os.W_OK):
            return f"needs {device}"
    return None


def run(*args, check=True):
    done = subprocess.run([str(a) for a in args], text=True, capture_output=True, timeout=60, check=False)
    assert not check or done.returncode == 0, f"{args}: {done.stderr}"
    return done.stdout.strip()


def make(image, size):
    """An empty ext4, journaled, as mkfs makes it."""
    with open(image, "wb") as f:
        f.truncate(size)
    run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)


@contextlib.contextmanager
def mounted(file, folder, options="rw"):
    """The file system in `file`, mounted on `folder`."""
    folder.mkdir(exist_ok=True)
    device = run("losetup", "--find", "--show", file)
    try:
        run("mount", "-o", options, device, folder)
        try:
            yield folder
        finally:
            server.wait_until(f"{folder} to be unmounted", lambda: subprocess.run(
                ["umount", folder], capture_output=True, check=False).returncode == 0, seconds=20)
    finally:
        run("losetup", "-d", device)


@contextlib.contextmanager
def recorded(image, log, folder):
    """A file whose bytes are `image`; each write and flush is noted in `log`."""
    folder.mkdir(exist_ok=True)
    recorder = subprocess.Popen([RECORDER, "serve", folder, image, log], stdin=subprocess.DEVNULL)
    try:
        server.wait_until("the recorder", (folder / "disk").exists)
        yield folder / "disk"
    finally:
        subprocess.run(["umount", folder], capture_output=True, check=False)
        try:
            recorder.wait(10)
        except subprocess.TimeoutExpired:
            recorder.kill()
            recorder.wait()


def scratch(name):
    """A folder in memory, where there is one: thousands of images are written."""
    top = pathlib.Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else pathlib.Path("/tmp")
    folder = top / f"posthorn-{name}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder
