"""Settings and file headers as frozen pydantic models, their YAML files and the migrations between schema versions."""
