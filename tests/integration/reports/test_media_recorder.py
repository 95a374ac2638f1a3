"""Voice notes of a real browser: what Chromium records is taken, what we make of it is played."""

import base64
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from services.reports.media import voice
from tests.media import heard

pytestmark = pytest.mark.integration

RECORD = """async ([type, slice]) => {
    const context = new AudioContext(), sink = context.createMediaStreamDestination();
    await context.resume();
    const tone = context.createOscillator();
    tone.frequency.value = 440;
    tone.connect(sink);
    tone.start();
    const recorder = new MediaRecorder(sink.stream, {mimeType: type, audioBitsPerSecond: 24000});
    const parts = [];
    recorder.ondataavailable = event => parts.push(event.data);
    const stopped = new Promise(done => { recorder.onstop = done; });
    recorder.start(slice);
    await new Promise(done => setTimeout(done, 1500));
    recorder.stop();
    await stopped;
    return btoa(String.fromCharCode(...new Uint8Array(await new Blob(parts).arrayBuffer())));
}"""
PLAY = """async data => {
    const audio = new Audio('data:audio/mpeg;base64,' + data);
    await new Promise((done, fail) => {
        audio.oncanplaythrough = done;
        audio.onerror = () => fail(new Error(audio.error.message));
    });
    audio.currentTime = audio.duration / 2;
    await new Promise(done => { audio.onseeked = done; });
    await audio.play();
    return [audio.duration, audio.currentTime];
}"""


@pytest.fixture(scope="module")
def page(chromium: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        yield browser.new_page()
        browser.close()


@pytest.mark.parametrize("type_", ["audio/webm;codecs=opus", "audio/mp4;codecs=opus"])
@pytest.mark.parametrize("slice_", [250, 60_000], ids=["in slices", "at once"])
def test_recorded_taken_and_played(page: Page, type_: str, slice_: int) -> None:
    made = voice.encode(base64.b64decode(page.evaluate(RECORD, [type_, slice_])))
    assert made.seconds > 0.5
    assert heard(made.data)[1] == pytest.approx(440, abs=3)
    length, at = page.evaluate(PLAY, base64.b64encode(made.data).decode())
    assert length == pytest.approx(made.seconds, abs=0.2)
    assert length / 2 - 0.1 < at <= length  # wound, and then played on
