-- Asked when a document says that it replaces Composition/id (Composition.relatesTo): which document
-- was that? The Composition is the first entry of every document.
create index exchange_document_composition on exchange_document ((entries[1]));
