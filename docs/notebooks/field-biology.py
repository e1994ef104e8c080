# %% [markdown]
# # Field biology: moths at a light trap
#
# Eight species of four families, drawn by `examples/moths.py`. Some volunteers' labels are wrong:
# `curate` finds them; then the species are taught, and answered at the deepest level that is
# sure. Needs `pip install 'gingham[train]' pandas`.

# %%
import os
import sys
import tempfile
from pathlib import Path

import pandas as pd

sys.path.append(os.path.abspath("../../examples"))
from moths import SPECIES, draw_moth, draw_survey

os.chdir(tempfile.mkdtemp())
draw_survey(Path("trap"), images=96, seed=4)
survey = pd.read_csv("trap/survey.csv")
survey["image"] = "trap/" + survey["image"]
survey.head(3)

# %% [markdown]
# ## Curate
# Every seventeenth label of a volunteer is wrong, and one picture is there twice.

# %%
volunteers = survey[["image", "species"]].copy()
names = list(SPECIES)
for row in range(0, 96, 17):
    volunteers.loc[row, "species"] = names[(names.index(survey.species[row]) + 3) % len(names)]
os.link(volunteers.image[7], "trap/again.jpg")
volunteers.loc[len(volunteers)] = ["trap/again.jpg", volunteers.species[7]]
volunteers.to_csv("volunteers.csv", index=False)

# %%
import gingham

curated = gingham.curate("volunteers.csv", "curated")
curated

# %%
doubted = pd.read_csv("curated/stages/6_label_errors.csv")
doubted = doubted[["image", "attribute", "value", "suggested", "probability", "flagged"]]
doubted.head(8)

# %% [markdown]
# The six wrong labels come first. A person accepts or refuses each in the page
# `curated/report.html`, which saves `decisions.csv`.

# %%
decisions = doubted.head(6).assign(decision="accept")
decisions.to_csv("decisions.csv", index=False)
gingham.curate("volunteers.csv", "curated", decisions="decisions.csv")
clean = pd.read_csv("curated/clean.csv")
clean["image"] = clean["image"].map(os.path.relpath)
truth = survey.set_index("image")["species"]
print(f"{(clean['image'].map(truth) == clean['species']).sum()} of {len(clean)} labels are right")

# %% [markdown]
# ## Index, teach, tag

# %%
moths = gingham.Catalogue.create("moths")
moths.index(images=survey["image"])
moths.teach("species", clean[clean["split"] == "train"])

# %%
moths.tag(["species"])

# %%
new = survey.image[survey.species == "Saturnia pavonia"].iloc[-2:]
answers = list(moths.predict(new, attributes=["species"]))
answers[0]

# %% [markdown]
# ## The deepest level that is sure
# Families stand above species in a schema. Hybrids of two species of one family, drawn
# between them, are answered by their family where no species is 0.9 sure.

# %%
import numpy as np
from PIL import Image

with open("schema.toml", "w") as file:
    for name, about in SPECIES.items():
        print(f'[attributes.species.values."{name}"]\nparent = "{about.family}"', file=file)
    for family in sorted({about.family for about in SPECIES.values()}):
        print(f"[attributes.species.values.{family}]", file=file)
moths.set_schema("schema.toml")
moths.tag(["species"])  # what was tagged before is as the former schema said

parents = [draw_moth(np.random.default_rng(8), name) for name in ("Saturnia pavonia", "Aglia tau")]
hybrids = {f"hybrid-{share}.jpg": share for share in (0.7, 0.8, 0.84, 0.88, 0.92)}
for name, share in hybrids.items():
    Image.blend(*parents, share).save(name)
doubtful = list(moths.predict(hybrids, attributes=["species"], min_confidence=0.9))
answered = [one.predictions["species"] for one in doubtful]
pd.DataFrame(
    {
        "Aglia tau's share": hybrids.values(),
        "likeliest": [next(iter(one.values)) for one in answered],
        "probability": [next(iter(one.values.values())) for one in answered],
        "taxon": [one.value for one in answered],
        "confidence": [one.confidence for one in answered],
    }
).round(3)

# %%
doubtful[2]

# %% [markdown]
# ## Explain: what the species was seen by

# %%
(why,) = moths.explain([new.iloc[0]], attributes=["species"])
why

# %% [markdown]
# ## Search with sliders
# The same species, whatever it sits on; then what looks like it by colour and texture, of other
# species.

# %%
moths.search(new.iloc[0], looks={"attribute:species": 1}, n=5)

# %%
moths.search(
    new.iloc[0], looks={"colour": 1, "texture": 0.5}, where=["species!=Saturnia pavonia"], n=5
)

# %% [markdown]
# ## To arrays, a pipeline, Audubon Core

# %%
moths.features(["stage3", "head"])

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

train, test = clean[clean["split"] == "train"], clean[clean["split"] != "train"]
reader = gingham.ImageFeatures(layers=["stage3", "head"])
model = make_pipeline(reader, StandardScaler(), LogisticRegression(C=0.1))
model.fit(train["image"], train["species"])
print(f"{model.score(test['image'], test['species']):.2f} of the species are right")

# %%
moths.export("audubon.csv", form="audubon-core", relative=True, min_confidence=0.8)
pd.read_csv("audubon.csv")[["ac:accessURI", "dc:type", "ac:tag"]].head(3)

# %%
moths.close()
