"""80020 files for tests of other parts."""


def exchange_file(point, *, timezone, day="20221231", value="1"):
    """Return the bytes of a file with one half hour of one point."""
    stated = "" if timezone is None else f' timezone="{timezone}"'
    return (
        '<?xml version="1.0" encoding="windows-1251"?>\n'
        '<message class="80020" version="2" number="1">\n'
        f"<datetime><day>{day}</day></datetime><sender><inn>7700000000</inn></sender>\n"
        f'<area{stated}><inn>7700000001</inn><measuringpoint code="{point}">'
        '<measuringchannel code="01"><period start="0000" end="0030">'
        f"<value>{value}</value></period></measuringchannel></measuringpoint></area>\n"
        "</message>"
    ).encode("cp1251")
