import pytest

from hsi_jax.data.files.class_file import read_class_file
from hsi_jax.errors import InputError

QML = """<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.34.4-Prizren" styleCategories="AllStyleCategories">
 <pipe><rasterrenderer type="paletted" band="1" opacity="1"><colorPalette>
  <paletteEntry value="1" alpha="255" color="#1F78B4" label="Open water"/>
  <paletteEntry value="41" alpha="255" color="#33a02c" label="Forest"/>
 </colorPalette></rasterrenderer></pipe></qgis>"""
TABLES = {
    "commas": "id,name,colour\n1,Open water,#1F78B4\n41,Forest,#33a02c\n",
    "semicolons and a byte order mark": "\ufeffValue;Label;Color\n"
    "1;Open water;#1f78b4\n41;Forest;#33a02c\n",
    "numbers of colours": "name\tgridcode\tred\tgreen\tblue\n"
    "Open water\t1\t31\t120\t180\nForest\t41.0\t51\t160\t44\n",
}


def written(tmp_path, text, suffix=".csv"):
    path = tmp_path / f"classes{suffix}"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("text", [QML, *TABLES.values()], ids=["qml", *TABLES])
def test_names_and_colours_are_those_of_the_ids(tmp_path, text):
    found = read_class_file(written(tmp_path, text, ".qml" if text is QML else ".csv"))
    assert found.names == {1: "Open water", 41: "Forest"}
    assert found.colours == {1: "#1f78b4", 41: "#33a02c"}


def test_colours_may_be_left_out(tmp_path):
    found = read_class_file(written(tmp_path, "class_id,class,colour\n3,Corn,\n4,Oats,#112233\n"))
    assert found.names == {3: "Corn", 4: "Oats"}
    assert found.colours == {4: "#112233"}
    assert read_class_file(written(tmp_path, "id,name\n3,Corn\n")).colours == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,colour\nCorn,#112233\n", "give one called id or value"),
        ("id,name\n1,Corn\n1,Oats\n", "id 1 twice"),
        ("id,name,colour\n1,Corn,yellow\n", "'yellow' of id 1"),
        ("id,name\nfirst,Corn\n", "'first' where a whole number"),
        ("id,name\n1.5,Corn\n", r"'1\.5' where a whole number"),
        ("id,name,red,green,blue\n1,Corn,0,0,256\n", "in 0 to 255"),
        ("id,name\n", "names no class"),
        ("", "give one called id or value"),
        ("id,name\n1\n", "cannot be read"),
    ],
)
def test_what_a_table_cannot_tell_is_named(tmp_path, text, problem):
    with pytest.raises(InputError, match=problem):
        read_class_file(written(tmp_path, text))


def test_other_styles_and_files_are_refused(tmp_path):
    single = QML.replace("paletteEntry", "item").replace("paletted", "singlebandpseudocolor")
    with pytest.raises(InputError, match="Paletted"):
        read_class_file(written(tmp_path, single, ".qml"))
    with pytest.raises(InputError, match="cannot be read"):
        read_class_file(written(tmp_path, QML[:200], ".qml"))
    with pytest.raises(InputError, match=r"\.qml\) or a table"):
        read_class_file(written(tmp_path, "1 Corn", ".txt"))
    with pytest.raises(InputError, match=r"classes\.csv"):
        read_class_file(tmp_path / "none" / "classes.csv")


def test_a_style_of_bombs_or_of_other_files_takes_neither_memory_nor_files(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    entity = f'<!DOCTYPE q [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
    with pytest.raises(InputError, match="cannot be read"):
        read_class_file(
            written(tmp_path, entity + QML.partition("\n")[2].replace("Forest", "&x;"), ".qml")
        )
    layers = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE q [<!ENTITY a0 "{"x" * 99}">{layers}]>'
    with pytest.raises(InputError, match="cannot be read"):
        read_class_file(
            written(tmp_path, bomb + QML.partition("\n")[2].replace("Forest", "&a11;"), ".qml")
        )
