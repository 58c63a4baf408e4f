-- The index can be made anew from the products.
DROP FUNCTION IF EXISTS search_document(products);
DROP FUNCTION IF EXISTS search_words(text);
DROP TABLE IF EXISTS product_search_position;
DROP TABLE IF EXISTS product_search;
