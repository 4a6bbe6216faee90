import mujoco
import pytest

from egorobot.envs.d4rl_package_model import corrected_mjcf

MODEL = """
<mujoco>
  <compiler meshdir="." angle="radian"/>
  <include file="parts/classes.xml"/>
  <default><geom density="500"/></default>
  <worldbody>
    <body pos="0 0 1" name="kettle"><freejoint/><include file="parts/kettle.xml"/></body>
    <body name="door"><joint name="hinge" range="0 1"/><geom size="1" mass="1"/></body>
  </worldbody>
</mujoco>
"""
CLASSES = """
<mujocoinclude>
  <default><default class="oven"><joint damping="5"/></default></default>
  <default class="kettle"><geom friction="3"/><default class="heavy"><geom density="2000"/></default></default>
</mujocoinclude>
"""
KETTLE = '<mujocoinclude><geom name="pot" class="heavy" size=".1"/></mujocoinclude>'


@pytest.fixture
def path(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "classes.xml").write_text(CLASSES)
    (tmp_path / "parts" / "kettle.xml").write_text(KETTLE)
    (tmp_path / "model.xml").write_text(MODEL)
    return tmp_path / "model.xml"


def test_outermost_class_of_another_name_is_read_and_inherits_nothing(path):
    with pytest.raises(ValueError, match="cannot be renamed"):
        mujoco.MjModel.from_xml_path(str(path))
    model = mujoco.MjModel.from_xml_string(corrected_mjcf(path))
    assert model.geom("pot").friction[0] == 3  # of its outer class
    volume = 4 / 3 * 3.14159265 * 0.1**3
    assert model.body("kettle").mass[0] == pytest.approx(2000 * volume)  # of its own class
    assert model.joint("hinge").damping[0] == 0  # of no class


def test_files_stay_as_they_are_and_folders_become_absolute(path):
    text = corrected_mjcf(path)
    assert path.read_text() == MODEL
    assert f'meshdir="{path.parent.resolve()}"' in text
    assert "include" not in text


def test_missing_include_is_an_error(path):
    (path.parent / "parts" / "kettle.xml").unlink()
    with pytest.raises(FileNotFoundError, match=r"kettle\.xml"):
        corrected_mjcf(path)
