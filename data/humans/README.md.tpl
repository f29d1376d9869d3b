# Embedded humans

30 synthetic human bodies, each with its own mesh of about 2,000 vertices, with exact ground truth: enough to train and test the pipeline with no download.

| | |
|---|---|
| shapes | `off/human_000.off` … `human_029.off`, in metres, z up, standing on z = 0, not area-normalised; @VMIN@–@VMAX@ vertices (mean @VMEAN@) |
| split | `train.txt` 000–019 (8 identities), `test.txt` 020–029 (4 other identities; 5 of the 10 poses are unseen, the other 5 are shared, jittered or mirrored) |
| ground truth | `corres/human_XXX.vts`: 1,947 landmarks, row t is the vertex (from 1) at landmark t; `corres/human_XXX.sym.vts`: at the mirror image of landmark t |
| facts | `shapes.csv`: identity, pose, size, edge length and ground-truth residual of each shape |

All bodies are adults, of both sexes, differing in age, height, weight, muscle and proportions. Every mesh is closed, manifold, connected, of genus 0 and
oriented outward (`make_humans.py` refuses any other). Mean edge @EDGE@ of √area; smallest triangle quality @Q@ (1 is equilateral).

## How it was made

1. `anny` 0.6.2 poses a body of 13,348 vertices (topology `anny-noeyes-notongue`, dual-quaternion skinning) from an identity and a pose of
   `experiments/embedded_humans/tables.py`, each angle jittered by 4° (normal, seeded). Mouth and eye cavities are cut off and their rims closed.
2. Each body is remeshed by itself: `pyacvd` clusters the subdivided surface, its vertices and faces in a random order that differs from shape to shape, with
   smaller clusters on hands, feet and head. The dual mesh of the clusters is refined where it is not a manifold or loses a thin part, then improved by edge flips,
   collapses of slivers and relaxation along the surface. Vertices and faces are shuffled: their order says nothing.
3. The landmarks are vertices of the body model, spread evenly over its left half, and their mirror images (the model's template is exactly symmetric).
   A landmark's cluster in each shape is known, so its vertex is the nearest one within two edges of that cluster's: no search through space, no jump
   between limbs that come close.

Residual, the distance from a landmark to its vertex: mean @RMEAN@ mm (@RX@ % of √area), largest @RMAX@ mm, less than 1.1 mean edges. It is what rounding to a vertex costs
at this resolution, and the floor of any vertex-to-vertex error.

## Remake it

    pip install -c constraints.txt -e .[humans]
    python experiments/make_humans.py --out data/humans

The first run builds anny's cache (minutes, 0.8 GB; `ANNY_CACHE_DIR` says where), the rest takes 2–4 minutes. The same packages on the same machine give
the same bytes; other versions of `pyacvd` or of the arithmetic libraries may cluster differently. Made with anny 0.6.2, pyacvd 0.4.0, pyvista 0.49.1, torch 2.13.0, numpy 2.4.6, scipy 1.17.1, seed 2024.

## Licence

These files are dedicated to the public domain: [CC0 1.0](https://creativecommons.org/publicdomain/zero/1.0/). They derive from the MakeHuman assets (CC0 1.0) that come with anny;
anny's code (Copyright 2025 NAVER Corp., Apache-2.0) was run to make them and is not part of them. No scan of a person was used.
