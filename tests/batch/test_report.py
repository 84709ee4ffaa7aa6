import base64
import json
import os
from html.parser import HTMLParser

from tests.browser import needs_browser, run_browser
from vidseg.batch.report import HTML_NAME, JSON_NAME, BatchReport, FileReport, write_report
from vidseg.config import RunConfig

SHARES = {"seconds": [0.0, 1.0], "shares": {"2": [1.0, 0.25], "20": [0.0, 0.75]}}
EVIL = '"><script>alert(1)</script>\n.mp4'


class Page(HTMLParser):
    """Collects tags, attributes and text; notices tags that are not closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def report(*files, config=None):
    return BatchReport(files, config or RunConfig(), "2024-05-06T07:08:09+00:00", 75.0)


def written(tmp_path, *files):
    json_path, html_path = write_report(report(*files), tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([JSON_NAME, HTML_NAME])
    return json.loads(json_path.read_text()), Page(html_path.read_text(encoding="utf-8"))


def test_the_report_says_what_became_of_every_file(tmp_path):
    details = {"frames": 50, "seconds": 2.0, "video_seconds": 2.0, "notes": ["turned"], "shares": SHARES}
    data, page = written(
        tmp_path,
        FileReport("a.mp4", "done", outputs=("sub dir/a#1.mp4",), details=details, strip=b"jpeg"),
        FileReport("b.mp4", "failed", "no video stream"),
        FileReport("c.mp4", "not started", "the batch ended before its turn"),
    )
    assert data["totals"] == {"done": 1, "failed": 1, "not started": 1} and data["seconds"] == 75.0
    first, second, _ = data["files"]
    assert first["frames"] == 50 and first["shares"]["classes"] == {"sky": [1.0, 0.25], "car": [0.0, 0.75]}
    assert (second["state"], second["reason"]) == ("failed", "no video stream")
    for text in (
        "1 done, 1 failed, 1 not started",
        "no video stream",
        "turned",
        "25.0 fps",
        "car 38%",
        "took 1:15 min",
    ):
        assert text in page.text
    assert page.all("a") == [{"href": "sub%20dir/a%231.mp4"}]
    assert page.all("img")[0]["src"] == "data:image/jpeg;base64," + base64.b64encode(b"jpeg").decode()


def test_the_chart_stacks_the_shares_over_time(tmp_path):
    details = {"frames": 50, "video_seconds": 2.0, "shares": SHARES}
    _, page = written(tmp_path, FileReport("a.mp4", "done", details=details))
    sky, car = [
        [tuple(map(float, point.split(","))) for point in polygon["points"].split()] for polygon in page.all("polygon")
    ]
    assert sky[:4] == [(0, 0), (320, 0), (320, 67.5), (640, 67.5)]
    assert car[:4] == [(0, 0), (320, 0), (320, 0), (640, 0)] and car[4:6] == [(640, 67.5), (320, 67.5)]


def test_the_chart_has_scales_of_share_and_time(tmp_path):
    details = {"frames": 50, "video_seconds": 2.0, "shares": SHARES}
    _, page = written(tmp_path, FileReport("a.mp4", "done", details=details))
    spans = [(attributes["class"], attributes["style"]) for attributes in page.all("span") if "style" in attributes]
    assert spans[:3] == [("share", "top:100%"), ("share", "top:50%"), ("share", "top:0%")]
    small = {"seconds": [0.0], "shares": {"2": [0.996], "20": [0.004]}}
    _, page_of_small = written(tmp_path, FileReport("a.mp4", "done", details={"frames": 1, "shares": small}))
    assert "sky 100% car <1%" in page_of_small.text
    assert ("time", "left:50.0%") in spans and "0.5 s1 s" in page.text and len(page.all("line")) > 3


def test_files_can_be_told_apart_by_what_they_are_sorted_by(tmp_path):
    details = {"frames": 50, "seconds": 4.0, "video_seconds": 2.0, "shares": SHARES}
    _, page = written(tmp_path, FileReport("a.mp4", "done", details=details), FileReport(EVIL, "failed"))
    first, second = page.all("article")
    assert (first["data-name"], first["data-state"], second["data-state"]) == ("a.mp4", "done", "failed")
    assert (first["data-video"], first["data-took"], first["data-fps"]) == ("2", "4", "12.5")
    assert json.loads(first["data-shares"]) == {"sky": 0.625, "car": 0.375} and second["data-shares"] == "{}"
    assert {option["value"] for option in page.all("option")} >= {"", "name", "state", "-took", "fps", "done", "failed"}


def test_settings_that_were_given_are_told_but_no_secret(tmp_path):
    config = RunConfig(stride=3, blur_classes=("person", "car"), serve_token="secret")
    item = report(FileReport("a.mp4", "done"), config=config)
    assert item.settings() == {"--stride": "3", "--blur-classes": "person,car"}
    _, html_path = write_report(item, tmp_path)
    page = html_path.read_text(encoding="utf-8")
    assert "<tr><td>--stride</td><td>3</td></tr>" in page and "secret" not in page


def test_names_and_reasons_cannot_break_the_page_and_nothing_comes_from_elsewhere(tmp_path):
    odd = os.fsdecode(b"\xff\xfe.mp4")
    data, page = written(
        tmp_path,
        FileReport(EVIL, "failed", EVIL, outputs=(EVIL,), details={"notes": [EVIL]}),
        FileReport(odd, "done", outputs=(odd,), details={"shares": {"seconds": [0.0], "shares": {"0": [1.0]}}}),
    )
    assert page.all("script") == [{}] and page.all("link") == []
    assert data["files"][0]["name"] == EVIL and data["files"][1]["name"] == odd
    assert page.all("a")[1] == {"href": "%FF%FE.mp4"}
    assert not any("http" in str(value) for _, attributes in page.tags for value in attributes.values())


def test_an_empty_batch_has_a_report(tmp_path):
    data, page = written(tmp_path)
    assert data["files"] == [] and "nothing to do" in page.text


@needs_browser
def test_files_are_found_and_sorted_in_a_browser(tmp_path):
    def details(sky, took):
        shares = {"seconds": [0.0], "shares": {"2": [sky], "20": [1 - sky]}}
        return {"frames": 50, "seconds": took, "video_seconds": 2.0, "shares": shares}

    files = [FileReport(f"clip{n}.mp4", "done", details=details(n / 20, 20.0 - n)) for n in (10, 2, 1)]
    write_report(report(*files, FileReport("bad.mp4", "failed", EVIL)), tmp_path)
    opened = tmp_path / "browser"
    opened.mkdir()
    for browser in run_browser(opened):
        browser.open((tmp_path / HTML_NAME).as_uri())
        shown = "return [...document.querySelectorAll('article')].filter(a => !a.hidden).map(a => a.dataset.name)"
        choose = "(e => {{ e.value = '{1}'; e.dispatchEvent(new Event('input')) }})(document.getElementById('{0}'))"
        in_order = {
            "name": ["bad.mp4", "clip1.mp4", "clip2.mp4", "clip10.mp4"],
            "-took": ["clip1.mp4", "clip2.mp4", "clip10.mp4", "bad.mp4"],
            "share sky": ["clip10.mp4", "clip2.mp4", "clip1.mp4", "bad.mp4"],
            "": ["clip10.mp4", "clip2.mp4", "clip1.mp4", "bad.mp4"],
        }
        for order, names in in_order.items():
            browser.run(choose.format("order", order))
            assert browser.run(shown) == names, order
        browser.run(choose.format("state", "done") + ";" + choose.format("find", "CLIP1"))
        assert browser.run(shown) == ["clip10.mp4", "clip1.mp4"] and browser.complaints() == []
