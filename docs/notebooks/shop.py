# %% [markdown]
# # A shop: tag and search a catalogue of garments
#
# Ten pictures per value teach an attribute; the whole catalogue is then tagged and searched
# without reading an image again. The garments are drawn here, so the notebook runs anywhere (`pip
# install 'gingham[study]' pandas`).

# %%
import os
import sys
import tempfile
from pathlib import Path

import pandas as pd

sys.path.append(os.path.abspath("../../examples"))
from garments import draw_catalogue  # examples/garments.py draws them

os.chdir(tempfile.mkdtemp())
garments = pd.DataFrame(draw_catalogue(Path("photos"), images=88, seed=5))
garments["image"] = "photos/" + garments["image"]
garments.head(3)

# %% [markdown]
# ## Index
# Every image is read once; the pooled activations of all hidden layers are kept.

# %%
import gingham

shop = gingham.Catalogue.create("shop")
shop.index(images=garments["image"])

# %%
shop

# %% [markdown]
# ## Teach
# From a DataFrame with a column `image` and one named like the attribute, or from pairs. Here the
# first 66 garments are labelled and the others are new.

# %%
labelled, new = garments[:66], garments[66:]
shop.teach("colour", labelled)

# %%
pairs = list(zip(labelled["image"], labelled["pattern"]))
shop.teach("pattern", pairs)

# %% [markdown]
# ## Predict
# An answer has a calibrated confidence and the nearest examples as its evidence, and may be
# unknown.

# %%
answers = list(shop.predict(new["image"], attributes=["colour", "pattern"]))
answers[0]

# %%
said = pd.DataFrame(
    {name: [one.predictions[name].value for one in answers] for name in ("colour", "pattern")},
    index=new.index,
)
pd.DataFrame({"right": (said == new[said.columns]).mean(), "unknown": said.isna().mean()}).round(2)

# %% [markdown]
# ## Explain
# Where in the picture the values were found: red speaks for the value, blue against it.

# %%
(why,) = shop.explain([new["image"].iloc[0]], attributes=["colour", "pattern"])
why

# %% [markdown]
# ## Search with sliders
# Looks are mixed by weight. By texture the colour of the query does not matter, and the other way
# round. The query itself is left out unless it is asked for.

# %%
query = garments.loc[garments["pattern"] == "striped", "image"].iloc[0]
shop.search(query, looks={"texture": 1}, n=5, with_self=True)

# %%
shop.search(query, looks={"colour": 1}, n=5)

# %% [markdown]
# `tag` answers for the whole catalogue, from what is stored; tags are filters.

# %%
shop.tag(["colour", "pattern"])

# %%
shop.search(query, looks={"texture": 1, "colour": 0.3}, where=["colour=blue"], n=5)

# %%
shop.search(colours={"#c22f3a": 2, "white": 1}, n=5)

# %% [markdown]
# ## What to look at next
# The pictures that would teach the most, with the reason.

# %%
shop.review("pattern", order="useful", n=5)

# %% [markdown]
# ## Arrays and tables

# %%
features = shop.features(["stage2", "stage5"])
features

# %%
features.X.shape, features.X.dtype

# %%
table = shop.to_pandas()
table["image"] = table["image"].map(os.path.basename)
table.drop(columns="id").head(3)

# %%
shop.to_arrow().schema.names

# %% [markdown]
# ## A scikit-learn pipeline
# From paths of images to attributes; `AttributeClassifier` is what a catalogue teaches with, any
# other classifier will do.

# %%
from sklearn.pipeline import make_pipeline

reader = gingham.ImageFeatures(layers=["stem", "stage1", "stage2"]).fit([])
model = make_pipeline(reader, gingham.AttributeClassifier(blocks=reader.blocks_))
model.fit(labelled["image"], labelled["colour"])
print(f"{model.score(new['image'], new['colour']):.2f} of the colours are right")

# %% [markdown]
# ## Export
# Joined with the table of the shop, with all its columns, and only what is sure enough. `form`
# names other formats: Shopify, WooCommerce, Label Studio, COCO, `datasets`.

# %%
products = garments[["image"]].assign(sku=[f"SKU-{n:03d}" for n in garments.index], price=19.9)
products.to_csv("products.csv", index=False)
rows = shop.export("tagged.csv", join="products.csv", min_confidence=0.8)
pd.read_csv("tagged.csv")[["sku", "price", "colour", "colour_confidence", "pattern"]].head(3)

# %%
shop.close()
