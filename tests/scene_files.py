"""The small mesh of ``mesh_files`` as scenes: glTF and VTK files, as several programs write them."""

import base64
import json
import struct

import numpy as np
from tests.mesh_files import FACES, VERTS, as_bytes, rows, words


def gltf_document(mode=4, indices=None, verts=VERTS):
    """(JSON, bytes) of a scene with one node."""
    indices = FACES.ravel() if indices is None else indices
    places, corners = np.asarray(verts, "<f4").tobytes(), np.asarray(indices, "<u2").tobytes()
    corners += b"\0" * (-len(corners) % 4)
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "mode": mode}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": len(verts), "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": len(indices), "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteLength": len(places)},
            {"buffer": 0, "byteOffset": len(places), "byteLength": len(corners)},
        ],
        "buffers": [{"byteLength": len(places + corners)}],
    }
    return document, places + corners


def glb(document, data):
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    length = 12 + 8 + len(text) + 8 + len(data)
    parts = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, length) + parts


def gltf_inside(document, data):
    document["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    return json.dumps(document, indent=1)


def gltf_placed():
    """Half as large, turned by a quarter around z and moved in the file; the nodes put it back."""
    x, y, z = ((VERTS - [1, 2, 3]) / 2).T
    document, data = gltf_document(verts=np.stack([y, -x, z], axis=1))
    document["nodes"] = [
        {"children": [1], "translation": [1, 2, 3], "scale": [2, 2, 2]},
        {"mesh": 0, "rotation": [0, 0, 0.5**0.5, 0.5**0.5]},
    ]
    return glb(document, data)


def gltf_by_matrix():
    document, data = gltf_document(verts=VERTS - [5, 6, 7])
    document["nodes"][0]["matrix"] = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 5, 6, 7, 1]
    return glb(document, data)


def gltf_two_primitives():
    document, data = gltf_document()
    first, second = dict(document["accessors"][1], count=6), dict(document["accessors"][1], count=6, byteOffset=12)
    document["accessors"][1:] = [first, second]
    document["meshes"][0]["primitives"] += [
        {"attributes": {"POSITION": 0}, "indices": 2},
        {"attributes": {"POSITION": 0}, "mode": 0},
    ]
    return glb(document, data)


def gltf_sparse():
    document, data = gltf_document(verts=np.concatenate([VERTS[:3], [[0, 0, 0]], VERTS[4:]]))
    start = len(data)
    document["bufferViews"] += [
        {"buffer": 0, "byteOffset": start, "byteLength": 1},
        {"buffer": 0, "byteOffset": start + 4, "byteLength": 12},
    ]
    document["accessors"][0]["sparse"] = {
        "count": 1,
        "indices": {"bufferView": 2, "componentType": 5121},
        "values": {"bufferView": 3},
    }
    document["buffers"][0]["byteLength"] = start + 16
    return glb(document, data + b"\3\0\0\0" + struct.pack("<3f", 0, 0, 1))


def gltf_quantised():
    document, data = gltf_document()
    places = b"".join(struct.pack("<4H", *vertex, 0) for vertex in (VERTS / 9 * 65535).round().astype(int).tolist())
    document["bufferViews"][0] |= {"byteLength": len(places), "byteStride": 8}
    document["bufferViews"][1]["byteOffset"] = len(places)
    document["accessors"][0] |= {"componentType": 5123, "normalized": True}
    document["nodes"][0]["scale"] = [9, 9, 9]
    document["extensionsRequired"] = ["KHR_mesh_quantization"]
    data = places + data[60:]
    document["buffers"][0]["byteLength"] = len(data)
    return glb(document, data)


GLTF = {
    "plain.glb": glb(*gltf_document()),
    "strip.glb": glb(*gltf_document(5, [0, 2, 1, 3, 0, 2])),
    "placed.glb": gltf_placed(),
    "matrix.glb": gltf_by_matrix(),
    "two_primitives.glb": gltf_two_primitives(),
    "sparse.glb": gltf_sparse(),
    "quantised.glb": gltf_quantised(),
    "inside.gltf": gltf_inside(*gltf_document()),
    "trailing.glb": glb(*gltf_document()) + b"\n",
}


def vtk_text(body: str) -> str:
    return f"# vtk DataFile Version 3.0\na title\nASCII\n{body}"


POINTS = "POINTS 5 float\n" + rows(VERTS)
POLYGONS = "\nPOLYGONS 4 16\n" + rows(FACES, "3 ")
VTK = {
    "polydata.vtk": vtk_text("DATASET POLYDATA\n" + POINTS + "POLYGONS 4 16\n" + rows(FACES, "3 ")),
    "polydata_data.vtk": vtk_text(
        "DATASET POLYDATA\nFIELD FieldData 1\nTIME 1 1 double\n0.5\n"
        + POINTS
        + "LINES 1 3\n2 0 1\nPOLYGONS 4 16\n"
        + rows(FACES, "3 ")
        + "POINT_DATA 5\nSCALARS s float 1\nLOOKUP_TABLE default\n1 2 3 4 5\n"
    ),
    "points_a_line.vtk": vtk_text("DATASET POLYDATA\nPOINTS 5 double\n" + words(rows(VERTS), " ") + POLYGONS),
    "strips.vtk": vtk_text("DATASET POLYDATA\n" + POINTS + "TRIANGLE_STRIPS 1 7\n6 0 2 1 3 0 2\n"),
    "grid.vtk": vtk_text(
        "DATASET UNSTRUCTURED_GRID\n"
        + POINTS
        + "CELLS 6 21\n1 4\n"
        + rows(FACES, "3 ")
        + "2 0 1\nCELL_TYPES 6\n1 5 5 7 5 3\n"
    ),
    "binary.vtk": vtk_text("").replace("ASCII", "BINARY").encode()
    + b"DATASET POLYDATA\nPOINTS 5 double\n"
    + VERTS.astype(">f8").tobytes()
    + b"\nPOLYGONS 4 16\n"
    + np.insert(FACES, 0, 3, axis=1).astype(">i4").tobytes()
    + b"\n",
    "version5.vtk": vtk_text(
        "DATASET POLYDATA\n" + POINTS + "METADATA\nINFORMATION 0\n\nPOLYGONS 5 12\n"
        "OFFSETS vtktypeint64\n0 3 6 9 12\nCONNECTIVITY vtktypeint64\n" + rows(FACES)
    ).replace("3.0", "5.1", 1),
    "windows.vtk": vtk_text("DATASET POLYDATA\n" + POINTS + "POLYGONS 4 16\n" + rows(FACES, "3 ")).replace(
        "\n", "\r\n"
    ),
}

VTU = {
    "text.vtu": '<?xml version="1.0"?>\n<VTKFile type="UnstructuredGrid" version="0.1" '
    'byte_order="LittleEndian">\n<UnstructuredGrid>\n'
    '<Piece NumberOfPoints="5" NumberOfCells="4">\n<Points><DataArray type="Float64" NumberOfComponents="3" '
    'format="ascii">\n'
    + rows(VERTS)
    + '</DataArray></Points>\n<Cells><DataArray type="Int32" Name="connectivity" format="ascii">\n'
    + rows(FACES)
    + '</DataArray>\n<DataArray type="Int32" Name="offsets" format="ascii">3 6 9 12</DataArray>\n'
    '<DataArray type="UInt8" Name="types" format="ascii">5 5 5 '
    "5</DataArray></Cells>\n</Piece>\n</UnstructuredGrid>\n</VTKFile>\n"
}


SCENES = {"gltf": as_bytes(GLTF), "vtk": as_bytes(VTK)}
