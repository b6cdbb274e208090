"""Reads PROV-JSON, writes it in every form that the package prov knows, and reads it back.

    provenance.py < [DOCUMENT, ...]
"""
import json
import sys
import warnings
from xml.etree import ElementTree

from prov.model import ProvDocument

warnings.simplefilter("ignore")
documents = json.load(sys.stdin)
everything = ProvDocument()
for number, text in enumerate(documents):
    document = ProvDocument.deserialize(content=text, format="json")
    counts = {kind: len(json.loads(text)[kind]) for kind in json.loads(text) if kind != "prefix"}
    records = len(list(document.get_records()))
    assert records == sum(counts.values()), (number, records, counts)
    assert document.get_provn()
    for form in ("json", "xml"):
        again = ProvDocument.deserialize(content=document.serialize(format=form), format=form)
        assert again == document, (number, form, [(a, b) for a, b in zip(again.get_records(), document.get_records()) if a != b][:2])
    ElementTree.fromstring(document.serialize(format="xml"))
    again = ProvDocument.deserialize(content=document.serialize(format="rdf", rdf_format="trig"), format="rdf", rdf_format="trig")
    assert len(list(again.get_records())) == records, (number, "rdf")
    everything.update(document)
names = [record.identifier for record in everything.unified().get_records() if record.is_element()]
assert len(names) == len(set(names)), "one thing has two names"
print(f"{len(documents)} documents")
