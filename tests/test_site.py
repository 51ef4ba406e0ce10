"""The built site: every link leads somewhere, nothing comes from another host, and each page works in a browser."""


def test_smoke(site, browser):
    page = browser.new_page()
    page.goto(f"{site.url}/index.html")
    assert "Claim" in page.title()
