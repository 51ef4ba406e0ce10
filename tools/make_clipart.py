"""Make coursekit/assets/clipart.npz and clipart.txt from pictures of the Open Clip Art Library, as Debian packs them.

    apt-get download openclipart-png=1:0.18+dfsg-19
    dpkg-deb -x openclipart-png_*.deb openclipart
    python tools/make_clipart.py openclipart

Each picture is cropped to its content and put on a white square. Pictures that nobody could tell apart are kept once,
and what is nearly alike, a drawing and its outline for instance, is on one side of the split. No random number takes
part, so that anybody can check it. All training pictures are one large WebP picture, all test pictures another, which
is smaller than one file each.
"""

import hashlib
import io
import itertools
import pathlib
import sys

import numpy as np
from PIL import Image, ImageChops, ImageFilter, ImageOps

from coursekit import data

SOURCE = "usr/share/openclipart/png"
SIDE = data.IMAGE_SHAPES["clipart"][0]
TEST_SHARE = 0.4
COLUMNS = 16  # of pictures in the large one
CLASSES = {
    "mammals": ["animals/mammals/**"],
    "birds": ["animals/birds/**"],
    "bugs": ["animals/bugs"],
    "fruit": ["food/fruit"],
    "desserts": ["food/desserts"],
    "drinks": ["food/beverages/**"],
    "vehicles": ["transportation/vehicles/**", "transportation"],
    "buildings": ["buildings/homes", "buildings"],
}
# What is left out, by its name without .png, and why.
EXCLUDED = {
    "shows something else than its class": """
        animals/birds/contour_bat animals/birds/mirjam_meijer_mirjam_mei_01 animals/birds/turkey_on_platter_01
        animals/birds/wing_mitchell_johnson_si_ animals/bugs/lumaca_architetto_france_01
        animals/bugs/lumaca_turbo_architetto__01 animals/bugs/virus_andreas_nilsson_01
        animals/mammals/housecats/cat_scrathing_post_benji_01 buildings/brick_frouke_01
        buildings/capitello_modanatura_mo_01 buildings/old_sign_ganson buildings/school_hallway_gerald_g._01
        buildings/wall buildings/wall1 food/beverages/alcohol/wine_corks_ganson
        food/beverages/alcohol/wooden_barrel_petri_lumm_01 food/beverages/ice_cube_jarno_vasamaa_
        food/beverages/icecube_benji_park_ food/beverages/macchina_caffe_architett_01 food/fruit/apple_juice_box
        food/fruit/apple_juice_box_bw food/fruit/candied_apples_ganson food/fruit/champignon_01
        food/fruit/gumnut_black_01 food/fruit/gumnut_shaded_01 food/fruit/juice_glass_andremarcel._01
        food/fruit/pie_apple food/fruit/pie_apple_bw food/fruit/pie_cherry food/fruit/pie_cherry_bw
        food/fruit/straw_tote_linda_kim_01 food/fruit/tree_whit_fruits_01
        food/fruit/turkey_platter_01_with_fruit_and_vegitables_01 transportation/anchor
        transportation/anchor_juliane_krug_01 transportation/grain_elevator_ganson
        transportation/lighthouse_matthew_gates_ transportation/little_tan_suitcase_jona_
        transportation/vehicles/lighthouse_01 transportation/vehicles/the_mad_little_ship_core_01
        transportation/vehicles/toy_paper_plane_01 transportation/vehicles/wing_mitchell_johnson_si_
    """,
    "is a sign": """
        transportation/Evel_Knievel transportation/Motorway_on transportation/airplane
        transportation/ampelfrau_matthew_gates_01 transportation/ampelmaennchen_matthew_g_01 transportation/bambi
        transportation/bus_lane transportation/bus_opposite transportation/buses_and_bikes transportation/cattle
        transportation/crosswind transportation/cycle_lane transportation/cycles transportation/drawbridge
        transportation/end_daul transportation/grounded transportation/horse transportation/kaboom
        transportation/lorry_length transportation/no_cycles transportation/no_entry transportation/old_folks
        transportation/pass_either transportation/roundabout transportation/street_sign_gerald_g._01
        transportation/tram transportation/trams_only transportation/tunnel transportation/turn_ahead
        transportation/two_way_ahead transportation/two_way_crosses transportation/vehicles/crossroads
        transportation/vehicles/curve_ahead transportation/vehicles/cycle_lane transportation/vehicles/cycle_route
        transportation/vehicles/parking_romus_01 transportation/vehicles/quay_sign_01 transportation/zigzag
    """,
    "shows several things, or too little of one, to be told": """
        animals/birds/acquila_architetto_franc_04 animals/birds/manager_mimooh_01
        animals/bugs/ragno_figo_architetto_fr_01 animals/bugs/zanzara_cretina_architet_01
        animals/mammals/bears/sleeping_bear_under_sta_01 animals/mammals/bears/sleeping_bear_under_sta_02
        animals/mammals/bears/sleeping_bear_under_sta_03 animals/mammals/dolphin_01
        animals/mammals/toro_al_tramonto_archite_01 buildings/city_horizon_jon_phillip_01
        buildings/homes/houses_jon_phillips_01 food/beverages/a_teapot_01
        food/beverages/alcohol/noi_due_insieme_brindis_01 food/fruit/slate-apple_benji_park_01
        transportation/vehicles/autos_01 transportation/autos_01
    """,
    "is broken, cut off or too faint": """
        animals/birds/duck_yellow_ii_kurt_cagl_ animals/birds/penguin/tux_didier_fabert_01
        animals/mammals/elephant_outline_matthe_r animals/mammals/shaezy_peterm_ animals/mammals/skoynk_peterm_
        transportation/shelby_cobra_blueprint_i_01 transportation/soviet_shuttle_mo_01
        transportation/vehicles/shelby_cobra_blueprint_i_01 transportation/vehicles/shelby_cobra_car_bluepr_
    """,
    "is another picture in winter": "buildings/homes/home9",
    "is a logo or a label": """
        animals/birds/baby_tux_rory_mccann_01 animals/birds/ninja_tux_rory_mccann_01
        animals/mammals/emule_icon_emule.org_01 food/beverages/milk_mateya_01 food/desserts/cake_mateya_01
        food/fruit/apple_mateya_01 food/fruit/banana_mateya_01
    """,
    "shows a weapon": """
        food/fruit/kallisti-grenade_1_nurbl_01 transportation/hummer_01 transportation/hummer_02
        transportation/m1_abrams_main_battle_tank_01 transportation/vehicles/hummer_01
        transportation/vehicles/hummer_02 transportation/vehicles/hummers/hummer_01
        transportation/vehicles/hummers/hummer_02 transportation/vehicles/m1_abrams_main_battle_tank_01
        transportation/vehicles/military_airplane_mo_01
    """,
}


def main(folder):
    Image.MAX_IMAGE_PIXELS = None  # some are drawn for posters
    root = pathlib.Path(folder) / SOURCE
    halves = {"train": [], "test": []}
    for label, class_name in enumerate(CLASSES):
        groups = alike(pictures(root, class_name))
        total = sum(map(len, groups))
        lacking = {"train": total * (1 - TEST_SHARE), "test": total * TEST_SHARE}
        # The largest first, so that what hold_out takes from the end is like nothing before it.
        for group in sorted(groups, key=len, reverse=True):
            half = max(lacking, key=lacking.get)
            lacking[half] -= len(group)
            halves[half] += [(label, path, picture) for path, picture in group]
    arrays, lines = {}, []
    for half, chosen in halves.items():
        labels, paths, images = zip(*chosen, strict=True)
        arrays |= {f"x_{half}": webp(images), f"y_{half}": np.array(labels, "uint8")}
        lines += [f"{half}\t{list(CLASSES)[label]}\t{path}" for label, path in zip(labels, paths, strict=True)]
    target = data.ASSETS / "clipart.npz"
    np.savez_compressed(target, **arrays)
    target.with_suffix(".txt").write_text("\n".join(lines) + "\n", "utf-8")
    print(target, hashlib.sha256(target.read_bytes()).hexdigest(), [len(chosen) for chosen in halves.values()])


def pictures(root, class_name):
    """The pictures of a class by their path, but for those that are left out and those that are there already."""
    excluded = {f"{name}.png" for names in EXCLUDED.values() for name in names.split()}
    found = {}
    for pattern in CLASSES[class_name]:
        for file in sorted(root.glob(f"{pattern}/*.png")):
            path = file.relative_to(root).as_posix()
            if path not in excluded:
                picture = on_white_square(Image.open(file))
                if all(difference(picture, other) > 0.01 for other in found.values()):
                    found[path] = picture
    return found


def on_white_square(image):
    image = image.convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    blank = Image.new("RGB", image.size, "white")
    image = image.crop(
        ImageChops.difference(image, blank).convert("L").point(lambda level: level > 8 and 255).getbbox()
    )
    return ImageOps.pad(image, (SIDE, SIDE), Image.Resampling.LANCZOS, color="white")


def difference(one, other):
    return np.abs(np.asarray(one, float) - np.asarray(other, float)).mean() / 255


def alike(found):
    """Groups of (path, picture): in each, one leads to the next by name, or by outlines or shades that nearly agree."""
    groups = []
    for item in found.items():
        near = [group for group in groups if any(are_alike(item, other) for other in group)]
        groups = [group for group in groups if group not in near] + [[*itertools.chain(*near), item]]
    return groups


def are_alike(one, other):
    """Whether one is the other in black and white by its name, or correlates with it or with its mirror image."""
    (path, picture), (other_path, other_picture) = one, other
    return path.replace("_bw", "") == other_path.replace("_bw", "") or any(
        np.vdot(trace(picture), trace(flipped)) > threshold
        for trace, threshold in ((outlines, 0.77), (shades, 0.88))
        for flipped in (other_picture, ImageOps.mirror(other_picture))
    )


def outlines(picture):
    edges = np.asarray(shrink(picture.convert("L").filter(ImageFilter.FIND_EDGES).filter(ImageFilter.GaussianBlur(2))))
    return standardize(edges[2:-2, 2:-2])  # the filter sees edges around the picture


def shades(picture):
    return standardize(np.asarray(shrink(picture.convert("L"))))


def shrink(picture):
    return picture.resize((32, 32), Image.Resampling.BOX)


def standardize(values):
    values = values - values.mean()
    return values / np.linalg.norm(values)


def webp(images):
    """All pictures in one, row by row, as the bytes of a WebP file."""
    rows = -(-len(images) // COLUMNS)
    large = Image.new("RGB", (COLUMNS * SIDE, rows * SIDE), "white")
    for number, picture in enumerate(images):
        large.paste(picture, (number % COLUMNS * SIDE, number // COLUMNS * SIDE))
    file = io.BytesIO()
    large.save(file, "webp", quality=80, method=6)
    return np.frombuffer(file.getvalue(), "uint8")


if __name__ == "__main__":
    main(sys.argv[1])
