# %% [markdown]
# # A museum: genres and techniques of a collection
#
# A collection of drawn pictures (`examples/paintings.py`) in four genres and three techniques.
# The notebook asks which layers of the network see a genre and which a technique, teaches both,
# and finds pictures by details.

# %%
import os
import sys
import tempfile
from pathlib import Path

import pandas as pd

sys.path.append(os.path.abspath("../../examples"))
from paintings import draw_collection

os.chdir(tempfile.mkdtemp())
draw_collection(Path("collection"), images=72, seed=2)
inventory = pd.read_csv("collection/collection.csv")
inventory["image"] = "collection/" + inventory["image"]
inventory.head(3)

# %%
import gingham

museum = gingham.Catalogue.create("museum")
museum.index(["collection/collection.csv"])  # a table with a column image

# %% [markdown]
# ## Which layer sees what
# Features of single layers, judged by five nearest neighbours. `gingham.study` does this
# thoroughly and writes a page.

# %%
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

layers = ["stem", "stage1", "stage2", "stage3", "stage4", "stage5", "head"]
found = museum.features(layers)
truth = inventory.set_index("image").loc[[os.path.relpath(image) for image in found.images]]
nearest = make_pipeline(StandardScaler(), KNeighborsClassifier(5))
accuracy = pd.DataFrame(
    {
        attribute: {
            layer: cross_val_score(
                nearest, found.X[:, a:b].astype("float32"), truth[attribute]
            ).mean()
            for layer, a, b in found.blocks
        }
        for attribute in ("technique", "genre")
    }
)
accuracy.round(2)

# %% [markdown]
# ## Teach a genre and a technique
# Half of the collection is catalogued, the rest is not. A list of pairs will do.

# %%
catalogued, rest = inventory[:36], inventory[36:]
museum.teach("technique", list(zip(catalogued["image"], catalogued["technique"])))

# %%
museum.teach("genre", catalogued)

# %%
museum.tag(["technique", "genre"])

# %%
(answer,) = museum.predict([rest["image"].iloc[3]], attributes=["technique", "genre"])
answer

# %% [markdown]
# ## Explain

# %%
(why,) = museum.explain([rest["image"].iloc[3]], attributes=["genre"])
why

# %% [markdown]
# ## Find by technique, by subject, by a detail
# `attribute:technique` is the look that was taught: the same hand, whatever the picture shows.

# %%
query = rest["image"].iloc[3]
museum.search(query, looks={"attribute:technique": 1}, n=5, with_self=True)

# %%
museum.search(query, looks={"semantic": 1}, where=["technique!=oil"], n=5)

# %% [markdown]
# A part of a picture counts alone: left, top, right and bottom in fractions of its sides; here
# the sea without the sky.

# %%
museum.search(query, crop=(0, 0.55, 1, 1), looks={"colour": 1}, n=5)

# %% [markdown]
# ## Words to filters
# A schema file says what attributes and values are called elsewhere.

# %%
from gingham.schema.schema import Schema
from gingham.schema.words import understand

Path("schema.toml").write_text("""
[attributes.genre.values.seascape]
translations = { fr = ["marine"] }
[attributes.technique.values.watercolour]
translations = { fr = ["aquarelle"] }
""")
known = museum.facets().attributes
words = understand("marine, aquarelle", known, Schema.read(Path("schema.toml")))
print(words.where)
museum.search(where=words.where, n=4)

# %% [markdown]
# ## The inventory with tags
# Audubon Core is what collections exchange; a plain table has every column of the inventory, with
# what was predicted beside what was there.

# %%
museum.export("audubon.csv", form="audubon-core", answered=True)
inventory.to_csv("inventory.csv", index=False)
museum.export("tagged.csv", join="inventory.csv")
tagged = pd.read_csv("tagged.csv")
tagged[["title", "year", "technique", "technique_tagged", "technique_tagged_confidence"]].tail(3)

# %%
museum.close()
