-- The product catalog. NaN is excluded by name: PostgreSQL sorts it above every number.

CREATE TABLE products (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    sku VARCHAR(100) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description TEXT,
    category VARCHAR(100),
    brand VARCHAR(100),
    attributes JSONB,
    warehouse_id VARCHAR(50),
    price_amount NUMERIC(19, 4),
    currency VARCHAR(3),
    status VARCHAR(20) NOT NULL DEFAULT 'active',
    version INTEGER NOT NULL DEFAULT 1,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    deleted_at TIMESTAMP WITH TIME ZONE,

    CONSTRAINT products_status_check CHECK (status IN ('active', 'inactive', 'discontinued')),
    CONSTRAINT products_price_amount_check CHECK (price_amount >= 0 AND price_amount <> 'NaN'),
    CONSTRAINT products_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT products_price_check CHECK ((price_amount IS NULL) = (currency IS NULL))
);

-- A SKU is unique among products that are not deleted, so it can be used again after a deletion.
CREATE UNIQUE INDEX idx_products_sku ON products(sku) WHERE deleted_at IS NULL;

-- Lists read the newest product first; ids are time-ordered, so "id DESC" gives a filtered page without a sort.
CREATE INDEX idx_products_category ON products(category, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX idx_products_warehouse ON products(warehouse_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX idx_products_status ON products(status, id DESC) WHERE deleted_at IS NULL;

COMMENT ON TABLE products IS 'Product catalog with inventory tracking';
COMMENT ON COLUMN products.id IS 'UUIDv7 made by the service; the default serves rows written by hand';
COMMENT ON COLUMN products.sku IS 'Stock Keeping Unit - unique product identifier';
COMMENT ON COLUMN products.attributes IS 'JSON object containing product-specific attributes';
COMMENT ON COLUMN products.warehouse_id IS 'Identifier of the warehouse that holds the product';
COMMENT ON COLUMN products.price_amount IS 'Exact price in units of currency; set together with currency or not at all';
COMMENT ON COLUMN products.currency IS 'ISO 4217 alphabetic code of price_amount';
COMMENT ON COLUMN products.status IS 'active, inactive or discontinued';
COMMENT ON COLUMN products.version IS 'Counts the changes of the row, for optimistic concurrency control';
COMMENT ON COLUMN products.deleted_at IS 'Soft delete timestamp, NULL for active records';

COMMENT ON INDEX idx_products_sku IS 'Carries the uniqueness of sku among products that are not deleted';
